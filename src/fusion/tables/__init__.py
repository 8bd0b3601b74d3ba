"""Tables and their keys: what a party holds, and the text that equal keys share.

`Table` puts one face on pandas, pyarrow, polars, CSV and Parquet. `key_columns` reads key columns as
canonical text. `write` puts a result into a file. `explain_left_out` counts rows without a usable key,
`explain_matches` says why few rows matched.
"""

from __future__ import annotations

from fusion.tables.diagnosis import ColumnReport, explain_left_out, explain_matches
from fusion.tables.files import write
from fusion.tables.keys import Keys, key_columns
from fusion.tables.table import Table

__all__ = ["ColumnReport", "Keys", "Table", "explain_left_out", "explain_matches", "key_columns", "write"]
