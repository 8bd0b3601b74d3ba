"""Weather index insurance: grid cells, daily records, index products, burn analysis, basis risk, encrypted books.

`grid`, `record`, `indices`, `products`, `burn` and `basis` are plain arithmetic on whole columns. `design` is what the
bureau computes alone, `offer` what it publishes, and `totals` the one protocol.
"""
