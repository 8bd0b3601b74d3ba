"""Gradient descent to a logistic model whose weights and residuals nobody sees: two parties share them.

Functionality: the feature party holds columns, the label party columns, labels and weights of rows; each learns the
coefficients of its own columns in the model of all columns together.

Parties
    Feature party and label party run the same steps in the same order.
Inputs
    n rows in the same order, of them h held out; a prepared columns of the feature party and b of the label party, the
    constant among them (`prepare`).
Outputs
    Each party: its own coefficients. The label party: with rows held out, the mean loss on them after each epoch.
Protocol
    Weights w are shared modulo t, see `fusion.learning.shares`. A step, on a batch of m rows:

        z      columns times weights: shares of the linear predictor modulo t, which is one period
        e      weight of the row (logistic(z) - y): the logistic as a series of sines, two products a term
        step   columns, transposed, times e, and the ridge's part, which came along with z
        w      minus the step, divided by a power of two that takes its additional digits away

    Each party rounds what it puts in; of what is shared nothing is rounded but in that division. It cannot wrap
    (`fusion.learning.shares.Shared.divide`), as steps are bounded: by the root mean squares of columns and weights in
    each batch, which each party checks of its own.
    Columns are made uncorrelated by each party alone, so that a step of fixed size converges without tuning: the second
    derivative of the mean loss is then at most 1/4 within a party, and 1/2 in all, the ridge included.
    The model after e epochs is the mean of the weights over the steps of the later half of them, which takes the noise
    of batches away.
Leakage
    To each other: n, a, b, how many epochs were run and which was taken, and the largest part of the linear predictor
    that each side adds to a row, in whole units. To the label party: the losses. Whoever knows coefficients knows what
    they say about the other side's data: where that has no columns, sums of labels over its own.
Threat model
    Semi-honest. A party that deviates makes the model wrong.
Rounds and bytes
    A step takes four exchanges and four messages one way. With C and R as in `fusion.learning.shares`, u and v the cuts
    of rows and columns there, and s = 16 m / 8192, rounded up: (u + v) C + 2 R each way, another (s + 1) C from the
    feature party, and 4 R from the label party. For 1,024 rows of 10 + 10 columns that is 2.8 MB.
Reference
    Chen and others: When Homomorphic Encryption Marries Secret Sharing (KDD 2021).
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from fusion.errors import InputError
from fusion.learning import sigmoid
from fusion.learning.shares import DEGREE, MODULUS, Shared, reduced, signed

__all__ = ["PERIOD", "Columns", "Descent", "Plan", "State", "Targets", "prepare"]

Floats = npt.NDArray[np.float64]
Integers = npt.NDArray[np.int64]
Words = npt.NDArray[np.uint64]

_WEIGHT_BITS = 30  # after the point
_COLUMN = 28 << 10  # what columns are multiplied by for the linear predictor
_GRADIENT_BITS = 15  # of what they are multiplied by for the gradient, times the rows of a batch
_STEP_BITS = 42  # after the point, of steps of rate 2: one of 64 is just within what is divided
PERIOD = MODULUS / (_COLUMN << _WEIGHT_BITS)
"""Of the linear predictor, about 36.57: shares of it are modulo t."""

LARGEST_COLUMN = 4.0
LARGEST_WEIGHT = 6.0
"""Root mean squares in a batch; times the largest step of 2 they stay below the 64 that a division takes."""

_LOSS_BITS = 42
_GOLDEN = 0.6180339887498949
_COLLINEAR = 1e-8


@dataclass(frozen=True, slots=True)
class Plan:
    """What both parties agreed on.

    Attributes
    ----------
    rows : int
        In all.
    held : int
        How many of them are held out.
    batch : int
        Most rows in a step.
    rate : float
        Length of a step.
    seed : bytes
        Which rows come when.
    """

    rows: int
    held: int
    batch: int
    rate: float
    seed: bytes

    @property
    def batches(self) -> int:
        """Steps in an epoch."""
        return -(-(self.rows - self.held) // self.batch)

    @property
    def size(self) -> int:
        """Rows in the largest batch; in the others there may be one less."""
        return -(-(self.rows - self.held) // self.batches)

    @property
    def mean(self) -> float:
        """Rows in a batch on average."""
        return (self.rows - self.held) / self.batches

    @property
    def step_bits(self) -> int:
        """After the point, of a step. It is at most 32 rates long, so that short ones have room for more."""
        return _STEP_BITS + math.floor(math.log2(2 / self.rate))

    @property
    def divide_bits(self) -> int:
        """How many of them the weights do not have."""
        return self.step_bits - _WEIGHT_BITS

    @property
    def column_scale(self) -> float:
        """What columns are multiplied by for the gradient."""
        return float(2**_GRADIENT_BITS / self.mean)

    @property
    def residual_scale(self) -> float:
        """What residuals are multiplied by, so that the gradient of both is a step."""
        return float(self.rate * 2 ** (self.step_bits - _GRADIENT_BITS))

    def held_out(self) -> list[npt.NDArray[np.intp]]:
        """Batches of the rows held out."""
        rows = self._order(b"held out", self.rows)[: self.held]
        return [rows[start : start + self.size] for start in range(0, self.held, self.size)]

    def epoch(self, number: int) -> list[npt.NDArray[np.intp]]:
        """Batches of the rows trained on, in another order each time."""
        rows = self._order(b"held out", self.rows)[self.held :]
        order = self._order(b"epoch %d" % number, len(rows))
        return np.array_split(rows[order], self.batches)

    def _order(self, purpose: bytes, count: int) -> npt.NDArray[np.intp]:
        """A permutation; the same on both sides, whatever their versions of numpy."""
        stream = hashlib.shake_256(b"fusion/learning/order/1/" + purpose + b"\0" + self.seed).digest(8 * count)
        return np.argsort(np.frombuffer(stream, "<u8"), kind="stable")


@dataclass(frozen=True, slots=True)
class Columns:
    """A party's columns, made uncorrelated.

    Attributes
    ----------
    x : (n, k) floats
        Mean squares of at most 1.
    back : (k, k) floats
        ``back @ weights`` are the coefficients of the standardised columns.
    penalty : (k, k) floats
        The gradient of the ridge is ``penalty @ weights``.
    """

    x: Floats
    back: Floats
    penalty: Floats


def prepare(x: Floats, ridge: float, names: list[str], *, intercept: bool) -> Columns:
    """Make columns uncorrelated.

    Parameters
    ----------
    x : (n, k) floats
        Standardised.
    ridge : float
    intercept : bool
        Whether to add a constant column at the end, without ridge.

    Raises
    ------
    InputError
        When columns add up to each other.
    """
    if intercept:
        x = np.column_stack([x, np.ones(len(x))])
    rest = np.full(x.shape[1], ridge)
    if intercept:
        rest[-1] = 0.0
    # the ridge is part of the second derivative: with it the bound of 1/4 holds whatever its size
    whole = x.T @ x / len(x) + np.diag(4 * rest)
    values, vectors = np.linalg.eigh(whole)
    if not values[0] > _COLLINEAR * values[-1]:
        guilty = np.flatnonzero(np.abs(vectors[:, 0]) > 0.1 * np.abs(vectors[:, 0]).max())
        found = ", ".join([*names, "the constant"][i] for i in guilty)
        raise InputError(f"columns {found} add up to a constant or to each other, or nearly so; leave one out")
    back = np.linalg.inv(np.linalg.cholesky(whole)).T
    return Columns(x @ back, back, back.T @ (rest[:, None] * back))


@dataclass(frozen=True, slots=True)
class Targets:
    """The label party's: labels of 0 and 1, and weights of mean 1, (n,) each."""

    y: Floats
    weight: Floats


@dataclass(frozen=True, slots=True)
class State:
    """Shares of where a descent stands.

    Attributes
    ----------
    own, theirs : (k,), (k',) uint64
        Of the weights of own columns, and of the other side's.
    own_sums, their_sums : (epochs + 1, k), (epochs + 1, k') uint64
        Of the sums of the weights over all steps until the end of each epoch.
    """

    own: Words
    theirs: Words
    own_sums: Words
    their_sums: Words

    @property
    def epochs(self) -> int:
        """How many are behind."""
        return len(self.own_sums) - 1

    def model(self, epoch: int) -> tuple[Words, Words, int]:
        """Shares of the sum over the later half of the epochs until this one, and over how many of them."""
        early = epoch // 2
        own, theirs = (_difference(sums[epoch], sums[early]) for sums in (self.own_sums, self.their_sums))
        return own, theirs, epoch - early


class Descent:
    """One party's side.

    Parameters
    ----------
    shared : Shared
    plan : Plan
    columns : Columns
    theirs : int
        Columns of the other side.
    targets : Targets or None
        The label party's.
    """

    def __init__(self, shared: Shared, plan: Plan, columns: Columns, theirs: int, targets: Targets | None) -> None:
        self._shared, self._plan, self._columns, self._theirs, self._targets = shared, plan, columns, theirs, targets
        self._logistic = sigmoid.logistic(PERIOD)

    def start(self) -> State:
        """All weights 0, but for the constant's, which the label party alone can choose: its share is all of it."""
        own, theirs = np.zeros(self._columns.x.shape[1]), np.zeros(self._theirs, np.uint64)
        if self._targets is not None:
            share = float(np.average(self._targets.y, weights=self._targets.weight))
            own[-1] = np.log(share / (1 - share)) / self._columns.back[-1, -1]
        shares = reduced(np.rint(own * 2.0**_WEIGHT_BITS).astype(np.int64))
        return State(shares, theirs, np.zeros((1, len(own)), np.uint64), np.zeros((1, len(theirs)), np.uint64))

    def epoch(self, state: State, stepped: Callable[[], None] = lambda: None) -> State:
        """One step on each batch."""
        own, theirs = state.own, state.theirs
        own_sum, their_sum = state.own_sums[-1], state.their_sums[-1]
        for count, batch in enumerate(self._plan.epoch(state.epochs)):
            own, theirs = self._step(batch, own, theirs, state.epochs * self._plan.batches + count)
            own_sum, their_sum = _sum(own_sum, own), _sum(their_sum, theirs)
            stepped()
        return State(own, theirs, np.vstack([state.own_sums, own_sum]), np.vstack([state.their_sums, their_sum]))

    def loss(self, state: State) -> float | None:
        """The mean loss of the model on the rows held out; the label party learns it."""
        even, odd = sigmoid.loss(PERIOD)
        scale = float(2.0 ** ((_LOSS_BITS - np.ceil(np.log2(self._plan.held))) / 2))
        own_sum, their_sum, epochs = state.model(state.epochs)
        total, weights = np.zeros(1, np.uint64), 0.0
        for batch in self._plan.held_out():
            # what pads a batch has no weight
            weight, turned = np.zeros(self._plan.size), np.zeros(self._plan.size)
            if self._targets is not None:
                weight[: len(batch)] = self._targets.weight[batch]
                turned[: len(batch)] = (1 - 2 * self._targets.y[batch]) * self._targets.weight[batch]
                weights += float(weight.sum())
            own, theirs = self._linear(batch, own_sum, their_sum, epochs * self._plan.batches)
            shares = self._series(
                _sum(own, theirs), even.multiples, turned[:, None] * odd.sines, weight[:, None] * even.cosines, scale
            )
            total = _sum(total, reduced(np.array([signed(shares).sum()])))
        if self._targets is None:
            self._shared.show(total)
            return None
        if not weights:
            raise InputError("all rows held out have weight 0, so they have no mean loss; hold out more rows, or none")
        return float(self._shared.shown(total)[0]) / scale**2 / weights + even.constant

    def open(self, state: State, epoch: int) -> Floats:
        """This party's coefficients of its standardised columns, the constant's last, as they were after an epoch."""
        own, theirs, epochs = state.model(epoch)
        if self._targets is None:
            weights = self._shared.shown(own)
            self._shared.show(theirs)
        else:
            self._shared.show(theirs)
            weights = self._shared.shown(own)
        found: Floats = self._columns.back @ (weights / (epochs * self._plan.batches * 2.0**_WEIGHT_BITS))
        return found

    def _step(self, batch: npt.NDArray[np.intp], own: Words, theirs: Words, number: int) -> tuple[Words, Words]:
        """The weights after a step on the rows of a batch."""
        size = self._plan.size
        x = self._columns.x[batch]
        penalty = _dithered(self._columns.penalty * (self._plan.rate * 2.0**self._plan.divide_bits), number)
        ours, others = self._linear(batch, own, theirs, 1, penalty)
        z, own_penalty, their_penalty = _sum(ours[:size], others[:size]), ours[size:], others[size:]
        scale = self._plan.residual_scale
        weight, target = np.zeros(size), np.zeros(size)
        if self._targets is not None:
            weight[: len(batch)] = self._targets.weight[batch]
            target[: len(batch)] = (self._targets.y[batch] - self._logistic.constant) * weight[: len(batch)]
        parts = (weight[:, None] * self._logistic.sines, weight[:, None] * self._logistic.cosines)
        e = self._series(z, self._logistic.multiples, *parts, math.sqrt(scale))
        e = _sum(e, reduced(-np.rint(target * scale).astype(np.int64)))
        padded = np.zeros((size, x.shape[1]), np.int64)
        padded[: len(batch)] = _dithered(x * self._plan.column_scale, number)
        ours, others = self._shared.columns(padded, e, self._theirs)
        parts_of_step = [_sum(ours, own_penalty), _sum(others, their_penalty)]
        if self._targets is not None:  # the same order on both sides: the feature party's first
            parts_of_step.reverse()
        step = self._shared.divide(np.concatenate(parts_of_step), self._plan.divide_bits)
        first, second = step[: len(parts_of_step[0])], step[len(parts_of_step[0]) :]
        if self._targets is not None:
            first, second = second, first
        return _difference(own, first), _difference(theirs, second)

    def _linear(
        self,
        batch: npt.NDArray[np.intp],
        own: Words,
        theirs: Words,
        divisor: int,
        penalty: Integers | None = None,
    ) -> tuple[Words, Words]:
        """Shares of both parts of the linear predictor, and below them of the ridge's part of the step."""
        size = self._plan.size
        below = 0 if penalty is None else len(penalty)
        matrix = np.zeros((size + below, self._columns.x.shape[1]), np.int64)
        matrix[: len(batch)] = _dithered(self._columns.x[batch] * (_COLUMN / divisor), 0)
        if penalty is not None:
            matrix[size:] = penalty
        return self._shared.rows(matrix, own, theirs, size + (0 if penalty is None else self._theirs))

    def _series(self, z: Words, multiples: Integers, sines: Floats, cosines: Floats, scale: float) -> Words:
        """Shares, (rows,), of sum of sines sin(k z) + cosines cos(k z), times ``scale`` squared, for shared z.

        The label party's coefficients are (rows, terms); the feature party's are not looked at.
        """
        rows, terms = len(z), len(multiples)
        turned = np.exp(1j * np.outer(signed(z) * (2 * np.pi / MODULUS), multiples))
        sine, cosine = turned.imag, turned.real
        if self._targets is None:
            factors = np.concatenate([sine, cosine], axis=1)
        else:
            factors = np.concatenate([sines * cosine - cosines * sine, sines * sine + cosines * cosine], axis=1)
        blocks = DEGREE // rows
        values = np.zeros((-(-2 * terms // blocks), DEGREE), np.int64)
        for term, factor in enumerate(np.rint(factors.T * scale).astype(np.int64)):
            start = term % blocks * rows
            values[term // blocks, start : start + rows] = factor
        found = signed(self._shared.slots(values))[: blocks * rows]
        return reduced(found.reshape(blocks, rows).sum(axis=0))


def _sum(a: Words, b: Words) -> Words:
    return np.asarray((a + b) % np.uint64(MODULUS))


def _difference(a: Words, b: Words) -> Words:
    return np.asarray((a + np.uint64(MODULUS) - b) % np.uint64(MODULUS))


def _dithered(x: Floats, number: int) -> Integers:
    """Rounded up or down, evenly: what is rounded away does not add up."""
    places = np.add.outer(np.arange(len(x)) * _GOLDEN, np.arange(x.shape[1]) * np.sqrt(2.0)) + number * np.sqrt(3.0)
    found: Integers = np.floor(x + places % 1.0).astype(np.int64)
    return found


def check_batches(plan: Plan, values: Floats, epochs: int, most: float, what: str) -> None:
    """Refuse values of which a batch may make a step too long; InputError names them as ``what``."""
    for number in range(epochs):
        for batch in plan.epoch(number):
            if (values[batch] ** 2).sum(axis=0).max(initial=0.0) > most**2 * plan.mean:
                raise InputError(f"{what} hold values far from the others; cap them, or pass a larger batch")
