"""Hot loops in C11 behind one typed Python face.

`ristretto` works on arrays of group elements, `hashing` on arrays and string columns. Shapes and types are
checked in Python, so that nothing malformed reaches C; the C code runs without the interpreter's lock, and
`threads` splits the rows.
"""

from __future__ import annotations

from fusion.kernels._dispatch import active, variants

__all__ = ["active", "variants"]
