"""Noise on whole numbers by OpenDP (extra ``dp``), and what its epsilon covers.

Reference: C. Canonne, G. Kamath, T. Steinke, "The Discrete Gaussian for Differential Privacy" (NeurIPS 2020), for both
distributions and exact sampling; A. Ghosh, T. Roughgarden, M. Sundararajan, "Universally utility-maximizing privacy
mechanisms" (2009), for the discrete Laplace.
"""

from __future__ import annotations

import math
import numbers
import operator
from collections.abc import Mapping
from dataclasses import dataclass, field
from fractions import Fraction
from typing import TYPE_CHECKING, Any

import numpy as np

from fusion.disclosure.masked import refuse_masked
from fusion.errors import InputError

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

# Beyond this a float no longer holds every whole number, and OpenDP's sums would meet the ends of int64.
_LARGEST = 1 << 53


@dataclass(frozen=True, slots=True, kw_only=True)
class Noise:
    """How much noise a release gets, and what it is to hide.

    Attributes
    ----------
    epsilon : float
        For the whole release, all of its columns together; greater than 0, at most 100.
    per_person : int
        Rows that one person has in the table at most: see :func:`fusion.disclosure.limit_rows`. There is no default, as
        a wrong one makes epsilon wrong in silence.
    delta : float or None
        None for discrete Laplace noise (pure epsilon). Between 0 and 1 for discrete Gaussian noise.
    bounds : mapping of str to (float, float)
        For each column of sums the bounds that every row was clipped to: see :func:`fusion.disclosure.clip`.
    decimals : int
        Sums are rounded to that many decimals before the noise, which comes in whole steps of the last one.

    Notes
    -----
    ``per_person`` and ``bounds`` are taken at their word: sums do not show whether their rows kept to them, and
    where they did not, epsilon is not what it says. Sums of floats are taken to be exact, too: what
    rounding on the way to them can move is not counted.
    """

    epsilon: float
    per_person: int
    delta: float | None = None
    bounds: Mapping[str, tuple[float, float]] = field(default_factory=dict)
    decimals: int = 0

    def __post_init__(self) -> None:
        _check_budget(self.epsilon, self.delta)
        if not isinstance(self.per_person, numbers.Integral) or self.per_person < 1:
            raise InputError("a person has at least one row; give per_person as a whole number of 1 or more")
        if not isinstance(self.decimals, numbers.Integral) or not 0 <= self.decimals <= 9:
            raise InputError("sums are rounded to a whole number of decimals between 0 and 9")
        for name, pair in self.bounds.items():
            if np.shape(pair) != (2,) or not (all(map(math.isfinite, pair)) and pair[0] <= pair[1]):
                raise InputError(f"the bounds of column {name!r} are two finite numbers, the lower one first")

    def sensitivity(self, name: str, *, whole: bool) -> int:
        """By how much one person moves the sums of a column, in steps of the last decimal.

        Parameters
        ----------
        name : str
            A column of sums, with its bounds declared.
        whole : bool
            Its rows are whole numbers, so that rounding adds nothing.

        Returns
        -------
        int
            Sum of the absolute changes over all cells, when the rows of one person are added or removed.
        """
        if name not in self.bounds:
            raise InputError(f"noise on the sums of column {name!r} needs the bounds of its rows")
        row: int = math.ceil(max(abs(Fraction(bound)) for bound in self.bounds[name]) * 10**self.decimals)
        # a sum that moves by x moves by at most x + 1 once rounded, in each cell that one of the rows falls into
        return max(1, self.per_person * (row if whole else row + 1))


@dataclass(frozen=True, slots=True)
class Guarantee:
    """What epsilon covers.

    Attributes
    ----------
    epsilon : float
        Privacy loss of the release.
    delta : float
        0 for pure differential privacy.
    per_person : int
        Rows of one person that are hidden together.
    columns : tuple of str
        The columns released under it.
    """

    epsilon: float
    delta: float
    per_person: int
    columns: tuple[str, ...]

    def __str__(self) -> str:
        kind, delta = ("Gaussian", f", delta = {self.delta:g}") if self.delta else ("Laplace", "")
        rows = "its one row" if self.per_person == 1 else f"all of its rows, {self.per_person} at most"
        return (
            f"epsilon = {self.epsilon:g}{delta} for this release of {', '.join(self.columns)} ({kind} noise).\n"
            f"It hides whether a person is in the data with {rows}; not which groups there are, nor other releases."
        )


def laplace(values: ArrayLike, *, sensitivity: int, epsilon: float) -> NDArray[np.int64]:
    """Add discrete Laplace noise: P(noise = k) proportional to exp(-|k| epsilon / sensitivity).

    Parameters
    ----------
    values : array_like of int
        Whole numbers within 2**53 either way, of any shape.
    sensitivity : int
        How much one person changes them at most, absolute changes added up over all of them. At least 1.
    epsilon : float
        Greater than 0, at most 100.

    Returns
    -------
    ndarray of int64
        Same shape. Epsilon-differentially private for values with that sensitivity.

    Raises
    ------
    InputError
        Arguments out of range, or OpenDP is missing.
    """
    _check_budget(epsilon, None)
    dp = _opendp()
    space = dp.vector_domain(dp.atom_domain(T="i64")), dp.l1_distance(T="i64")
    scale = _check_sensitivity(sensitivity) / epsilon
    while (mechanism := dp.m.make_laplace(*space, scale=scale)).map(sensitivity) > epsilon:
        scale = math.nextafter(scale, math.inf)  # the quotient was rounded down
    return _apply(mechanism, values)


def gaussian(values: ArrayLike, *, sensitivity: int, epsilon: float, delta: float) -> NDArray[np.int64]:
    """Add discrete Gaussian noise, the least that OpenDP's accounting allows.

    Parameters
    ----------
    values : array_like of int
        Whole numbers within 2**53 either way, of any shape.
    sensitivity : int
        The Euclidean norm of what one person changes at most. At least 1.
    epsilon : float
        Greater than 0, at most 100.
    delta : float
        Between 0 and 1; far below one over the number of people.

    Returns
    -------
    ndarray of int64
        Same shape. (epsilon, delta)-differentially private for values with that sensitivity.

    Raises
    ------
    InputError
        Arguments out of range, or OpenDP is missing.
    """
    _check_budget(epsilon, delta)
    return _apply(_gaussian(_check_sensitivity(sensitivity), epsilon, delta)[1], values)


def gaussian_scale(*, sensitivity: int, epsilon: float, delta: float) -> float:
    """The standard deviation of the noise that :func:`gaussian` adds; arguments as there."""
    _check_budget(epsilon, delta)
    return _gaussian(_check_sensitivity(sensitivity), epsilon, delta)[0]


def gaussian_epsilon(*, sensitivity: float, scale: float, delta: float) -> float:
    """The epsilon, at that delta, of discrete Gaussian noise on values of some sensitivity.

    Noise of one scale on several releases in turn is that on all of them together, each of which may depend on those
    before: pass the root of the sum of their squared sensitivities.

    Parameters
    ----------
    sensitivity : float
        In the Euclidean norm.
    scale : float
        The standard deviation.
    delta : float
        Between 0 and 1.
    """
    _check_budget(1.0, delta)
    dp = _opendp()
    space = dp.vector_domain(dp.atom_domain(T="i64")), dp.l2_distance(T="f64")
    measured = dp.c.make_fix_delta(dp.c.make_zCDP_to_approxDP(dp.m.make_gaussian(*space, scale=scale)), delta=delta)
    return float(measured.map(sensitivity)[0])


def _gaussian(sensitivity: int, epsilon: float, delta: float) -> tuple[float, Any]:
    """The standard deviation, and the mechanism."""
    dp = _opendp()
    space = dp.vector_domain(dp.atom_domain(T="i64")), dp.l2_distance(T="f64")
    # From the closed form of Bun and Steinke (2016), epsilon = rho + 2 sqrt(rho ln(1/delta)) with
    # rho = (sensitivity / scale)**2 / 2, which is never too little noise; the accounting finds how much less will do.
    log = math.log(1 / delta)
    enough = sensitivity / (math.sqrt(2) * (math.sqrt(log + epsilon) - math.sqrt(log)))

    def mechanism(scale: float) -> Any:
        measured = dp.m.make_gaussian(*space, scale=scale)
        return dp.c.make_fix_delta(dp.c.make_zCDP_to_approxDP(measured), delta=delta)

    between = {"d_in": float(sensitivity), "d_out": (epsilon, delta)}
    little = enough / 2
    while mechanism(little).check(**between):
        little /= 2
    scale = dp.binary_search_param(mechanism, **between, bounds=(little, enough * 2))
    return scale, mechanism(scale)


def _apply(mechanism: Any, values: ArrayLike) -> NDArray[np.int64]:
    refuse_masked(values)
    exact = np.asarray(values)
    if exact.size and (exact.dtype.kind not in "iu" or max(-int(exact.min()), int(exact.max())) > _LARGEST):
        raise InputError("noise is added to whole numbers within 2**53; round or scale the values first")
    if not exact.size:
        return exact.astype(np.int64)
    return np.array(mechanism(exact.ravel().tolist()), np.int64).reshape(exact.shape)


def _check_budget(epsilon: float, delta: float | None) -> None:
    if not 0 < epsilon <= 100:
        raise InputError("epsilon lies between 0 and 100, and hides little above 10")
    if delta is not None and not 0 < delta < 1:
        raise InputError("delta lies between 0 and 1; leave it out for Laplace noise")


def _check_sensitivity(sensitivity: int) -> int:
    if not isinstance(sensitivity, numbers.Integral) or not 1 <= sensitivity <= _LARGEST:
        raise InputError("the sensitivity of whole numbers is a whole number from 1 to 2**53")
    return operator.index(sensitivity)


def _opendp() -> Any:
    try:
        import opendp.prelude as dp
    except ImportError:
        raise InputError("noise needs OpenDP; pip install 'privacy-fusion[dp]'") from None
    dp.enable_features("contrib")
    return dp
