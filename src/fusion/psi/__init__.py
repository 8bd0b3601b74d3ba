"""Private set intersection: who is in both tables, without showing who is not."""

from fusion.psi import ideal
from fusion.psi.intersection import intersect
from fusion.psi.plan import Cost, estimate

__all__ = ["Cost", "estimate", "ideal", "intersect"]
