"""Messages and multipliers: integers modulo t, signed or not, slots or coefficients."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fusion.crypto.random import Source
from fusion.crypto.rlwe.plan import Parameters
from fusion.errors import InputError
from fusion.kernels import ntt
from fusion.kernels import rlwe as kernel
from fusion.kernels.ntt import Ring, Words

Messages = NDArray[Any]
"""int64 or uint64; every function that takes them checks."""


@dataclass(frozen=True, slots=True, repr=False, eq=False)
class Plaintexts:
    """Multipliers, transformed once and used as often as one likes; made by `prepare` or `prepare_weights`.

    Attributes
    ----------
    parameters : Parameters
    values : (..., limbs, n) uint64
    weights : (...) int64, optional
        Sums of absolute coefficients, where the noise of products is told from these; else from the largest
        multiplier that the parameters allow.
    """

    parameters: Parameters
    values: Words
    weights: NDArray[np.int64] | None = None

    @property
    def shape(self) -> tuple[int, ...]:
        """How many polynomials there are along each axis."""
        return self.values.shape[:-2]

    def __getitem__(self, index: int | slice) -> Plaintexts:
        """Along the first axis; one polynomial alone stays an array."""
        values, weights = self.values[index], None if self.weights is None else np.asarray(self.weights[index])
        if values.ndim > 2:
            return Plaintexts(self.parameters, values, weights)
        return Plaintexts(self.parameters, values[None], None if weights is None else weights[None])

    def __repr__(self) -> str:
        return f"Plaintexts(shape={self.shape})"


def prepare(parameters: Parameters, polynomials: Messages, *, threads: int | None = None) -> Plaintexts:
    """Transform multipliers.

    Parameters
    ----------
    parameters : Parameters
    polynomials : (..., n) int64 or uint64
        Coefficients, lowest first: int64 with absolute values of at most ``parameters.multiplier``; or residues below
        t, uint64, which are taken as the numbers of least absolute value that they stand for.
    threads : int, optional
        Threads that share the polynomials; None: all CPUs this process may use.

    Raises
    ------
    InputError
        On another shape or type, on a coefficient out of range, or if the parameters know no products.
    """
    if not parameters.multiplier:
        raise InputError("these parameters are for sums only; make others with products=1")
    rows = _rows(parameters, polynomials)
    if rows.dtype == np.uint64:
        _check_residues(parameters, rows)
        rows = centred(parameters, rows)
    # two comparisons: the absolute value of the least integer overflows
    if (rows > parameters.multiplier).any() or (rows < -parameters.multiplier).any():
        raise InputError("a multiplier is out of range; scale it down, or make parameters with more multiplier_bits")
    x = _transformed(parameters, rows, threads)
    return Plaintexts(parameters, x.reshape(*polynomials.shape[:-1], *x.shape[1:]))


def prepare_weights(parameters: Parameters, polynomials: Messages, *, threads: int | None = None) -> Plaintexts:
    """Transform multipliers that weight a sum, for parameters of sums.

    A product with weights that sum to w in absolute value is a sum of w ciphertexts, and has no more noise.

    Parameters
    ----------
    parameters : Parameters
    polynomials : (..., n) int64
        Coefficients, lowest first. Each at most ``parameters.terms`` in absolute value.
    threads : int, optional
        Threads that share the polynomials; None: all CPUs this process may use.

    Raises
    ------
    InputError
        On another shape or type, or a coefficient out of range.
    """
    rows = _rows(parameters, polynomials)
    if rows.dtype != np.int64:
        raise InputError("weights must be a numpy array of int64")
    if (rows > parameters.terms).any() or (rows < -parameters.terms).any():
        raise InputError("a weight is larger than the terms of a sum; make parameters with more terms")
    x, shape = _transformed(parameters, rows, threads), polynomials.shape[:-1]
    # n times 2^32 at most
    return Plaintexts(parameters, x.reshape(*shape, *x.shape[1:]), np.abs(rows).sum(axis=1).reshape(shape))


def residues(parameters: Parameters, messages: Messages) -> Words:
    """Messages as residues modulo t, of the same shape.

    Parameters
    ----------
    messages : (..., k) int64 or uint64
        int64 from -t/2 to t/2, or uint64 below t.

    Raises
    ------
    InputError
        On another type, or a value out of range.
    """
    t = parameters.plain_modulus
    _check_type(messages)
    if messages.dtype == np.uint64:
        _check_residues(parameters, messages)
        return messages
    if (messages > t // 2).any() or (messages < -(t // 2)).any():
        raise InputError("a message is out of range; scale it down, or make parameters with more plain_bits")
    reduced: Words = (messages + (messages >> 63 & t)).astype(np.uint64)
    return reduced


def centred(parameters: Parameters, values: Words) -> NDArray[np.int64]:
    """Residues modulo t as the integers from -t/2, excluded for an even t, to t/2."""
    t = parameters.plain_modulus
    signed = values.astype(np.int64)
    return signed - (signed > t // 2) * t


def to_coefficients(parameters: Parameters, slots: Messages, *, threads: int | None = None) -> Words:
    """The polynomials with these values in their n slots: products of polynomials are products slot by slot.

    Parameters
    ----------
    parameters : Parameters
        Made with ``batching=True``.
    slots : (rows, n) int64 or uint64
        As in `residues`.

    Returns
    -------
    (rows, n) uint64

    Raises
    ------
    InputError
        If t has no slots, on another shape or type, or a value out of range.
    """
    ring = _slot_ring(parameters)
    x = residues(parameters, _rows(parameters, slots))[:, None, :].copy()
    ntt.inverse(ring, x, threads=threads)
    return x[:, 0]


def to_slots(parameters: Parameters, coefficients: Words, *, threads: int | None = None) -> Words:
    """The inverse of `to_coefficients`."""
    ring = _slot_ring(parameters)
    x = residues(parameters, _rows(parameters, coefficients))[:, None, :].copy()
    ntt.forward(ring, x, threads=threads)
    return x[:, 0]


def draw_residues(parameters: Parameters, shape: tuple[int, ...], source: Source) -> Words:
    """Uniform residues modulo t; what is thrown away says nothing about what is kept."""
    t, missing = parameters.plain_modulus, math.prod(shape)
    mask = np.uint64((1 << (t - 1).bit_length()) - 1)
    parts = [np.empty(0, np.uint64)]
    while missing:
        drawn = np.frombuffer(source(8 * missing), "<u8").astype(np.uint64) & mask
        parts.append(drawn[drawn < t])
        missing -= len(parts[-1])
    return np.concatenate(parts).reshape(shape)


def _transformed(parameters: Parameters, rows: NDArray[np.int64], threads: int | None) -> Words:
    x = kernel.lift(parameters.ring, rows, threads=threads)
    ntt.forward(parameters.ring, x, threads=threads)
    return x


def _slot_ring(parameters: Parameters) -> Ring:
    if parameters.plain_modulus % (2 * parameters.degree) != 1:
        raise InputError("there are slots only modulo a fitting prime; make parameters with batching=True")
    return ntt.ring(parameters.degree, (parameters.plain_modulus,))


def _check_type(messages: object) -> None:
    if not isinstance(messages, np.ndarray) or messages.dtype not in (np.int64, np.uint64):
        raise InputError("messages and multipliers must be numpy arrays of int64 or uint64")


def _rows(parameters: Parameters, polynomials: Messages) -> NDArray[Any]:
    """`polynomials` as (rows, n) of their type, or an InputError."""
    _check_type(polynomials)
    if polynomials.ndim < 2 or polynomials.shape[-1] != parameters.degree:
        raise InputError(f"polynomials must have shape (..., {parameters.degree}), not {polynomials.shape}")
    return np.ascontiguousarray(polynomials).reshape(-1, parameters.degree)


def _check_residues(parameters: Parameters, values: NDArray[np.uint64]) -> None:
    if (values >= parameters.plain_modulus).any():
        raise InputError("a residue is not below the plain modulus; reduce it")
