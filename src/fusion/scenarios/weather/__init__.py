"""Weather index insurance: grid cells, daily records, index products, burn analysis, basis risk, encrypted books.

Everything but `portfolio` is plain arithmetic on arrays, the same on both sides and in the cleartext twin.
"""
