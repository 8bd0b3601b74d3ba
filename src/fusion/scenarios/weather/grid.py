"""Places to grid cells: a declared resolution, half-open cells, a stated coordinate system."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from fusion.errors import InputError

__all__ = ["Grid"]

# A degree in whole numbers, about a centimetre each: 0.3 / 0.1 is 3 here, and 2.9999999999999996 in floats.
_UNITS = 10**7
_SAME = frozenset({"WGS-84", "EPSG:4326", "CGCS2000", "EPSG:4490"})  # CGCS2000 agrees to centimetres
_SHIFTED = frozenset({"GCJ-02", "BD-09"})


@dataclass(frozen=True, slots=True)
class Grid:
    """A grid of equal cells in degrees of latitude and longitude, WGS-84.

    A cell is half open: it has its southern and western edge, its neighbours have the others. Cells are numbered from
    the south-west corner eastwards, row by row northwards.

    Attributes
    ----------
    south, west, north, east : float
        The edges, in degrees; a place on the northern or eastern edge lies outside.
    step : float
        The side of a cell, in degrees: 0.05, 0.0625, 0.1, 0.25. Fits the extent a whole number of times.
    """

    south: float
    west: float
    north: float
    east: float
    step: float

    def __post_init__(self) -> None:
        edges = np.array([self.south, self.west, self.north, self.east, self.step], np.float64)
        if not np.isfinite(edges).all() or (np.abs(np.rint(edges * _UNITS) / _UNITS - edges) > 1e-12).any():
            raise InputError("edges and step of a grid are degrees with at most seven decimals")
        south, west, north, east, step = _whole(edges).tolist()
        if not (-90 * _UNITS <= south < north <= 90 * _UNITS and -180 * _UNITS <= west < east <= 180 * _UNITS):
            raise InputError("a grid lies between -90 and 90 degrees north and -180 and 180 east, south and west first")
        if step <= 0 or (north - south) % step or (east - west) % step:
            raise InputError("the step of a grid fits its extent a whole number of times")

    @property
    def shape(self) -> tuple[int, int]:
        """How many rows and columns of cells."""
        south, west, north, east, step = self._edges()
        return (north - south) // step, (east - west) // step

    def cells(self, latitude: npt.ArrayLike, longitude: npt.ArrayLike, *, crs: str) -> npt.NDArray[np.int64]:
        """Return the number of the cell that each place lies in.

        Parameters
        ----------
        latitude, longitude : (n,) array-like of float
            Degrees, north and east positive.
        crs : str
            The coordinate system the places were measured in: "WGS-84" or "EPSG:4326"; "CGCS2000" or "EPSG:4490",
            which agree with it to centimetres. GCJ-02 and BD-09, the coordinates of map services in China, are shifted
            by hundreds of metres and refused: convert them first.

        Raises
        ------
        InputError
            Another coordinate system, a missing coordinate, a place outside the grid; the message names the row.
        """
        if crs in _SHIFTED:
            raise InputError(f"{crs} is shifted by hundreds of metres from WGS-84; convert the places before gridding")
        if crs not in _SAME:
            raise InputError(f"the coordinate system is one of {', '.join(sorted(_SAME))}; convert the places first")
        north, east = np.atleast_1d(np.asarray(latitude, np.float64)), np.atleast_1d(np.asarray(longitude, np.float64))
        if north.ndim != 1 or north.shape != east.shape:
            raise InputError("latitude and longitude are columns of one length")
        if (missing := ~(np.isfinite(north) & np.isfinite(east))).any():
            raise InputError(f"row {int(missing.argmax())} has no coordinates; leave such places out")
        outside = ~self._inside(north, east)
        if outside.any():
            swapped = self._inside(east[outside], north[outside]).all()
            hint = "; latitude and longitude look swapped" if swapped else "; widen the grid or leave it out"
            raise InputError(f"row {int(outside.argmax())} lies outside the grid{hint}")
        south, west, _, _, step = self._edges()
        found: npt.NDArray[np.int64] = (_whole(north) - south) // step * self.shape[1] + (_whole(east) - west) // step
        return found

    def centres(self, cells: npt.ArrayLike) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
        """Return latitude and longitude of the middle of each cell, in degrees.

        Raises
        ------
        InputError
            A number that is no cell of this grid.
        """
        numbers = np.asarray(cells)
        rows, columns = self.shape
        if numbers.dtype.kind not in "iu" or (numbers < 0).any() or (numbers >= rows * columns).any():
            raise InputError(f"cells of this grid are numbered 0 to {rows * columns - 1}")
        row, column = np.divmod(numbers, columns)
        return self.south + (row + 0.5) * self.step, self.west + (column + 0.5) * self.step

    def distances(self, cell: int, cells: npt.ArrayLike) -> npt.NDArray[np.float64]:
        """Return kilometres from the middle of one cell to those of others, on a sphere of radius 6371.0088 km."""
        (from_north,), (from_east,) = map(np.radians, self.centres([cell]))
        north, east = map(np.radians, self.centres(cells))
        half = np.sin((north - from_north) / 2) ** 2
        half += np.cos(from_north) * np.cos(north) * np.sin((east - from_east) / 2) ** 2
        kilometres: npt.NDArray[np.float64] = 2 * 6371.0088 * np.arcsin(np.sqrt(half))
        return kilometres

    def __str__(self) -> str:
        return (
            f"{self.south:g} to {self.north:g} degrees north, {self.west:g} to {self.east:g} east, WGS-84, "
            f"cells of {self.step:g} degrees with their southern and western edges"
        )

    def _inside(self, north: npt.NDArray[np.float64], east: npt.NDArray[np.float64]) -> npt.NDArray[np.bool_]:
        low, left, high, right, _ = self._edges()
        north, east = north * _UNITS, east * _UNITS
        inside: npt.NDArray[np.bool_] = (np.rint(north) >= low) & (np.rint(north) < high)
        return inside & (np.rint(east) >= left) & (np.rint(east) < right)

    def _edges(self) -> list[int]:
        edges: list[int] = _whole(np.array([self.south, self.west, self.north, self.east, self.step])).tolist()
        return edges


def _whole(degrees: npt.NDArray[np.float64]) -> npt.NDArray[np.int64]:
    return np.rint(degrees * _UNITS).astype(np.int64)
