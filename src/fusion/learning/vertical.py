"""Fitting a generalised linear model whose columns lie with two parties.

Functionality: the feature party holds columns, the label party columns and labels; the label party learns the model of
all columns together, the feature party the coefficients of its own.

With a log link, the mean of a row is exp(a + b) = exp(a) exp(b), a the feature party's part of the linear predictor and
b the label party's. Every sum over rows that fitting needs is therefore an inner product of a vector of the one and a
vector of the other (w weights, p the power of the variance, x a column):

    gradient by a column   sum x w m^(2-p) - sum x w y m^(1-p)
    information            sum x x' w m^(2-p)
    Pearson                sum w (y - m)^2 m^-p

A sum of two products of the same two owners is one inner product of vectors twice as long. What does not depend on
the coefficients is computed once. With the identity link everything follows from sum w x x' and sum w x y.

Parties
    The label party (`VerticalObjective`) asks and solves, the feature party (`serve`) answers: both run the same steps
    in the same order.
Inputs
    n rows in the same order; a standardised columns of the feature party; of the label party b, the constant among
    them, with labels, offsets and weights.
Outputs
    The label party: every coefficient, its covariance, deviance and Pearson's statistic. The feature party: its own
    coefficients and their standard errors.
Leakage
    The label party: in every round, the gradient by each column of the feature party and two sums of its exponentials;
    once, the correlations of the feature party's columns, and sums of products of every column of the one with every
    column of the other, unweighted, and weighted by the means for the information. That is 2 (a + b) + rounds + 1 sums
    over each column of the feature party: n must be well above that, or columns could be solved for. Also whether the
    feature party found coefficients out of range, and for the vectors it multiplies the power of two next to their
    norms. The feature party: its own coefficients in every round, and how many rounds there are. Both: n, a, b.
Threat model
    Semi-honest. A label party that deviates may ask for sums of its choice over the feature party's columns, single
    values among them. A feature party that deviates makes the model wrong.
Rounds and bytes
    With R = 66 KB for an inner product, C = 205 KB for 8,192 values of an encrypted vector, B(m) = ceil(m / 8192), and
    s = 2 for the Tweedie family, else 1: 2 B(s n) C + (a + b + s) R a round; before, 2 C for keys and b B(n) C + a b R
    (for Tweedie one column less); at the end, ((b + 2) B(n) + B(3 n)) C + (a (a + 1) / 2 + b (b + 1) / 2 + a b + 1) R.
    The Gaussian family has no rounds, and at the end (b + 2) B(n) C + (a (a + 1) / 2 + a + a b) R.
Reference
    McCullagh, Nelder: Generalized Linear Models, 2nd ed., section 2.5, for the sums; `fusion.learning.inner_products`
    for how two parties compute them.
"""

from __future__ import annotations

import math
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from fusion.channel import Channel, Chunk, Group
from fusion.errors import InputError, PeerError
from fusion.learning.families import Family, Sums

__all__ = [
    "Answering",
    "Asking",
    "VerticalObjective",
    "ask_to_stop",
    "one_channel",
    "receive_numbers",
    "send_numbers",
    "serve",
    "swap_counts",
    "swap_numbers",
]

Floats = npt.NDArray[np.float64]


class Asking(Protocol):
    """Inner products for the label party, which alone learns them."""

    noise: float  # relative, of one inner product

    def columns(self, ours: Floats, theirs: int) -> Floats:
        """Products of each of our rows, (b, n), with each of ``theirs`` rows over there: (theirs, b). We encrypt."""
        ...

    def row(self, ours: Floats) -> Floats:
        """Products of each of our rows, (b, n), with the one row over there: (b,). They encrypt."""
        ...


class Answering(Protocol):
    """The other side of `Asking`."""

    def columns(self, ours: Floats, theirs: int) -> None: ...

    def row(self, ours: Floats, theirs: int) -> None: ...


_GRAM, _CONSTANTS, _EVALUATE, _FISHER, _STOP = range(5)
_MOST_COLUMNS = 10_000
_LARGEST = 30.0  # of a linear predictor: with exp, more is out of any range


class VerticalObjective:
    """`fusion.learning.objective.Objective` for the label party.

    Coefficients stand in this order: the feature party's columns, the label party's, the intercept.

    Parameters
    ----------
    peer : Channel
        Inside an operation that has been opened.
    products : Asking
    x : (n, b) floats
        This side's standardised columns.
    y, offset, weight : (n,) floats
    theirs : int
        Columns of the feature party.
    intercept : bool
    """

    def __init__(
        self,
        peer: Channel,
        products: Asking,
        family: Family,
        x: Floats,
        y: Floats,
        offset: Floats,
        weight: Floats,
        *,
        theirs: int,
        intercept: bool,
    ) -> None:
        self.rows = len(y)
        self.weights = float(weight.sum())
        self.columns = theirs + x.shape[1] + intercept
        self.intercept = self.columns - 1 if intercept else None
        self.noise = products.noise
        self._peer, self._products, self._family = peer, products, family
        self._x = np.vstack([x.T, np.ones((1, self.rows))]) if intercept else np.ascontiguousarray(x.T)
        self._y, self._offset, self._weight, self._theirs = y, offset, weight, theirs
        self._constant: Floats | None = None
        # of the identity link: what is squared and multiplied should not carry the mean of the labels along
        centred = family.power == 0 and intercept
        self._centre = family.start(y, offset, weight) if centred else 0.0
        self._quadratic: tuple[Floats, Floats] | None = None

    def gram(self) -> Floats:
        """Sum of x x'; the other side's own block comes in the clear."""
        self._peer.phase("correlations")
        self._ask(_GRAM)
        theirs = _symmetric(receive_numbers(self._peer, self._pairs))
        return self._blocks(theirs, self._x @ self._x.T, self._x[: len(self._x) - (self.intercept is not None)])

    def evaluate(self, beta: Floats) -> tuple[float, Floats]:
        if self._family.power == 0:
            return self._evaluate_quadratic(beta)
        if self._constant is None:
            self._constant = self._constants()
        return self._evaluate(beta, self._constant)

    def fisher(self, beta: Floats) -> tuple[Floats, float]:
        p, w, y = self._family.power, self._weight, self._y
        if p == 0:
            information, _ = self._weighted()
            return information, 2 * self._evaluate_quadratic(beta)[0]
        self._peer.phase("standard errors")
        z = self._linear(beta)
        self._ask(_FISHER, beta)
        own = w * np.exp((2 - p) * z)
        within = self._products.columns(own[None, :], self._pairs).ravel()
        upper = np.triu_indices(len(self._x))
        ours = self._products.row(self._x[upper[0]] * self._x[upper[1]] * own)
        information = self._blocks(_symmetric(within), _symmetric(ours), self._x * own)
        # w (y - m)^2 m^-p = w y^2 m^-p - 2 w y m^(1-p) + w m^(2-p)
        terms = np.concatenate([w * y**2 * np.exp(-p * z), -2 * w * y * np.exp((1 - p) * z), own])
        return information, max(float(self._products.row(terms[None, :])[0]), 0.0)

    @property
    def _pairs(self) -> int:
        return self._theirs * (self._theirs + 1) // 2

    def _blocks(self, theirs: Floats, ours: Floats, vectors: Floats) -> Floats:
        """The whole matrix, from both own blocks and the vectors whose products with their columns lie across.

        Without a vector for the intercept: its products with standardised columns are 0.
        """
        matrix = np.zeros((self.columns, self.columns))
        a = self._theirs
        matrix[:a, :a], matrix[a:, a:] = theirs, ours
        if len(vectors):
            matrix[:a, a : a + len(vectors)] = self._products.columns(vectors, a)
        matrix[a:, :a] = matrix[:a, a:].T
        return matrix

    def _constants(self) -> Floats:
        """What of the gradient by their columns never changes; by ours it is computed here each time."""
        p = self._family.power
        if 1 < p < 2:
            return np.zeros(self._theirs)
        self._ask(_CONSTANTS)
        vector = self._weight * self._y if p == 1 else self._weight
        return self._products.columns(vector[None, :], self._theirs)[:, 0]

    def _evaluate(self, beta: Floats, constant: Floats) -> tuple[float, Floats]:
        p, w, y = self._family.power, self._weight, self._y
        z = self._linear(beta)
        if not np.abs(z).max() <= _LARGEST:
            return math.inf, np.zeros(self.columns)
        self._ask(_EVALUATE, beta)
        (fits,) = receive_numbers(self._peer, 1)
        if not fits:
            return math.inf, np.zeros(self.columns)
        a = self._theirs
        gradient = np.empty(self.columns)
        linear = labels_linear = 0.0
        if p == 1:
            terms = (w * np.exp(z))[None, :]
            fixed = -np.concatenate([constant, self._x @ (w * y)])
            labels_linear = float(beta[:a] @ constant + (w * y) @ z)
        elif p == 2:
            terms = -(w * y * np.exp(-z))[None, :]
            fixed = np.concatenate([constant, self._x @ w])
            linear = float(beta[:a] @ constant + w @ z)
        else:
            terms = np.vstack([w * np.exp((2 - p) * z), -w * y * np.exp((1 - p) * z)])
            fixed = np.zeros(self.columns)
        gradient[:a] = self._products.columns(terms.reshape(1, -1), a)[:, 0]
        # beside the gradient by our own columns, the two sums of the loss
        rows = [*(terms * column for column in self._x)]
        for i in range(len(terms)):
            alone = np.zeros_like(terms)
            alone[i] = terms[i]
            rows.append(alone)
        told = self._products.row(np.stack(rows).reshape(len(rows), -1))
        gradient[a:], totals = told[: len(self._x)], told[len(self._x) :]
        gradient += fixed
        sums = Sums(float(totals[0]) if p < 2 else 0.0, -float(totals[-1]) if p > 1 else 0.0)
        return self._family.loss(sums, linear, labels_linear), gradient

    def _weighted(self) -> tuple[Floats, Floats]:
        """For the identity link everything follows from sum w x x' and sum w x (y - offset), which never change."""
        if self._quadratic is None:
            self._ask(_FISHER)
            w = self._weight
            within = self._products.columns(w[None, :], self._pairs).ravel()
            target = w * (self._y - self._offset - self._centre)
            theirs = self._products.columns(target[None, :], self._theirs)[:, 0]
            information = self._blocks(_symmetric(within), self._x * w @ self._x.T, self._x * w)
            self._quadratic = information, np.concatenate([theirs, self._x @ target])
        return self._quadratic

    def _evaluate_quadratic(self, beta: Floats) -> tuple[float, Floats]:
        information, target = self._weighted()
        if self.intercept is not None:
            beta = beta.copy()
            beta[self.intercept] -= self._centre
        total = float(self._weight @ (self._y - self._offset - self._centre) ** 2)
        loss = (total - 2 * float(target @ beta) + float(beta @ information @ beta)) / 2
        return loss, information @ beta - target

    def _linear(self, beta: Floats) -> Floats:
        """Our part of the linear predictor."""
        return np.asarray(beta[self._theirs :] @ self._x + self._offset)

    def _ask(self, what: int, beta: Floats | None = None) -> None:
        """Name the next step, with their coefficients."""
        theirs = np.zeros(self._theirs) if beta is None else beta[: self._theirs]
        send_numbers(self._peer, np.concatenate([[float(what)], theirs]))


def _symmetric(upper: Floats) -> Floats:
    """The square matrix of which these are the rows of the upper triangle."""
    size = math.isqrt(2 * len(upper))
    square = np.zeros((size, size))
    square[np.triu_indices(size)] = upper
    full: Floats = square + np.triu(square, 1).T
    return full


def ask_to_stop(peer: Channel, theirs: int) -> None:
    """The label party is done."""
    send_numbers(peer, np.concatenate([[float(_STOP)], np.zeros(theirs)]))


def serve(peer: Channel, products: Answering, family: Family, x: Floats, *, theirs: int, intercept: bool) -> None:
    """Answer until the label party is done.

    Parameters
    ----------
    x : (n, a) floats
        This side's standardised columns.
    theirs : int
        Columns of the label party, the intercept among them.
    intercept : bool
        Whether there is one.

    Raises
    ------
    PeerError
        When the label party asks for something unknown, or accepts coefficients that are out of range.
    """
    p, x = family.power, np.ascontiguousarray(x.T)
    a, n = x.shape
    upper = np.triu_indices(a)
    while True:
        told = receive_numbers(peer, 1 + a)
        what, beta = told[0], told[1:]
        if what == _STOP:
            return
        with np.errstate(over="ignore", invalid="ignore"):
            z = beta @ x
        fits = bool(np.abs(z).max() <= _LARGEST)
        if what == _EVALUATE:
            send_numbers(peer, np.array([float(fits)]))
            if not fits:
                continue
        elif not fits:
            raise PeerError(f"{peer.peer} went on with coefficients that are out of range; check its version")
        if what == _GRAM:
            send_numbers(peer, (x @ x.T)[upper])
            if theirs > intercept:
                products.columns(x, theirs - intercept)
        elif what == _CONSTANTS:
            products.columns(x, 1)
        elif what == _EVALUATE and p:
            terms = np.exp([power * z for power in ((1.0,) if p == 1 else (-1.0,) if p == 2 else (2 - p, 1 - p))])
            products.columns((x[:, None, :] * terms[None, :, :]).reshape(a, -1), 1)
            products.row(terms.reshape(1, -1), theirs + len(terms))
        elif what == _FISHER:
            own = np.exp((2 - p) * z) if p else np.ones(n)
            products.columns(x[upper[0]] * x[upper[1]] * own, 1)
            if p:
                products.row(own[None, :], theirs * (theirs + 1) // 2)
            else:
                products.columns(x, 1)
            if theirs:
                products.columns(x * own, theirs)
            if p:
                products.row(np.exp([-p * z, (1 - p) * z, (2 - p) * z]).reshape(1, -1), 1)
        else:
            raise PeerError(f"{peer.peer} asked for a step that there is not; check that both run the same version")


def one_channel(peer: Any) -> Channel:
    """A channel, or the only one of a group."""
    if not isinstance(peer, Group):
        return peer  # type: ignore[no-any-return]
    if len(peer) != 1:
        raise InputError("two parties fit this model; pass one channel, such as group['hospital']")
    return peer[next(iter(peer))]


def send_numbers(peer: Channel, values: Floats) -> None:
    rows = np.ascontiguousarray(values, dtype="<f8").view(np.uint8).reshape(-1, 8)
    for _ in peer.exchange([Chunk(1, rows)] if len(rows) else [], {}):
        pass


def receive_numbers(peer: Channel, count: int) -> Floats:
    parts, found = [], 0
    for chunk in peer.exchange((), {1: 8}):
        parts.append(chunk.rows.reshape(-1))
        found += len(chunk.rows)
        if found > count:  # a peer that never ends must not fill the memory
            break
    values = np.concatenate(parts).view("<f8") if parts else np.empty(0)
    if found != count or not np.isfinite(values).all():
        raise PeerError(f"{peer.peer} sent other than the {count} finite numbers that belong here")
    return values


def swap_numbers(peer: Channel, ours: Floats) -> Floats:
    """Tell some numbers, and hear as many."""
    if peer.name < peer.peer:
        send_numbers(peer, ours)
        return receive_numbers(peer, len(ours))
    theirs = receive_numbers(peer, len(ours))
    send_numbers(peer, ours)
    return theirs


def swap_counts(peer: Channel, ours: int) -> int:
    """Tell how many columns this side has, and hear it of the other."""
    (theirs,) = swap_numbers(peer, np.array([float(ours)]))
    if not (theirs == int(theirs) and 0 <= theirs <= _MOST_COLUMNS):
        raise PeerError(f"{peer.peer} announced a number of columns out of range; check that both run the same version")
    return int(theirs)
