"""Updates as whole numbers: what of Flower's arrays goes into a sum, and what comes out of it."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import msgspec
import numpy as np
import numpy.typing as npt
from flwr.app import Array, ArrayRecord, MetricRecord, RecordDict

from fusion.errors import InputError, TransportError
from fusion.flower.terms import Plan, Terms

__all__ = [
    "NOTHING",
    "Layout",
    "Mean",
    "clipped",
    "decoded",
    "encoded",
    "longer",
    "metric_record",
    "moved",
    "update",
    "weight_and_metrics",
]

Vector = npt.NDArray[np.float64]
NOTHING: Vector = np.empty(0)
_FLOATS = frozenset({"float16", "float32", "float64"})
_PART = 1 << 16  # values at a time: what is computed on stays in the cache


@dataclass(frozen=True, slots=True)
class Layout:
    """Names, types and shapes of the arrays of a model, in order."""

    names: tuple[str, ...]
    dtypes: tuple[str, ...]
    shapes: tuple[tuple[int, ...], ...]

    @classmethod
    def of(cls, arrays: ArrayRecord, whose: str) -> Layout:
        """The layout of the arrays of ``whose``; InputError for what cannot be averaged."""
        for name, array in arrays.items():
            if array.stype != "numpy.ndarray" or array.dtype not in _FLOATS:
                raise InputError(
                    f"array {name!r} of {whose} holds {array.dtype}, and only floats are averaged; "
                    "leave it out of the record, or convert it"
                )
        return cls(
            tuple(arrays), tuple(each.dtype for each in arrays.values()), tuple(each.shape for each in arrays.values())
        )

    @property
    def size(self) -> int:
        """How many values there are."""
        return sum(math.prod(shape) for shape in self.shapes)

    @property
    def digest(self) -> bytes:
        """32 bytes that stand for it."""
        return hashlib.sha256(msgspec.msgpack.encode([self.names, self.dtypes, self.shapes])).digest()


@dataclass(frozen=True, slots=True)
class Mean:
    """What a sum says.

    Attributes
    ----------
    clients : int
        How many clients are in it.
    weight : int
        The sum of their weights, or their number where all count the same.
    metrics : mapping of str to float
        Averages.
    update : ndarray
        The average update, (values,) float64.
    """

    clients: int
    weight: int
    metrics: Mapping[str, float]
    update: Vector


def update(sent: ArrayRecord, returned: ArrayRecord) -> Vector:
    """What training changed: ``returned - sent``, all arrays in one row.

    Raises
    ------
    InputError
        If the arrays differ in name, type or shape from those sent, or hold what is no finite number.
    """
    ours = Layout.of(sent, "the server")
    if list(returned) != list(sent):
        raise InputError("the app returned arrays of other names, or in another order, than it was sent")
    found = Layout.of(returned, "the app")
    out = np.empty(ours.size)
    start = 0
    for place, name in enumerate(ours.names):
        there, here = (f"{each.dtypes[place]} of shape {each.shapes[place]}" for each in (ours, found))
        if here != there:
            raise InputError(f"the app returned array {name!r} as {here}; it was sent as {there}")
        after, before = returned[name].numpy(), sent[name].numpy()
        if not after.shape == before.shape == ours.shapes[place]:
            raise InputError(f"array {name!r} has another shape than it says; build it with Array(ndarray)")
        part = out[start : start + after.size]
        np.subtract(after.ravel(), before.ravel(), out=part, dtype=np.float64)
        if not np.isfinite(part).all():
            raise InputError(f"the app returned array {name!r} with a value that is missing or infinite")
        start += after.size
    return out


def clipped(terms: Terms, values: Vector) -> Vector:
    """An update, scaled down to the clip where it is longer."""
    if terms.clip is None or not values.size:
        return values
    largest = float(max(values.max(), -values.min()))
    if terms.noise is not None and terms.noise.delta is None:
        length = float(np.abs(values).sum())
    else:
        length = largest * math.sqrt(float(np.square(values / largest).sum())) if largest else 0.0
    return values * (terms.clip / length) if length > terms.clip else values


def weight_and_metrics(terms: Terms, content: RecordDict, lane: str) -> tuple[int, list[float]]:
    """A client's weight, and its metrics in the order of their declaration.

    Raises
    ------
    InputError
        If the reply of the app has no record of metrics, others than the terms declare, or values that do not fit.
    """
    records = list(content.metric_records.values())
    declared = terms.metrics_of(lane)
    if len(records) != 1 and (declared or terms.max_examples is not None or records):
        raise InputError("the app must return one record of metrics, with its weight and the metrics of the terms")
    found = dict(records[0]) if records else {}
    weight = found.pop(terms.weighted_by_key, 1)
    if terms.max_examples is None:
        weight = 1
    elif terms.weighted_by_key not in records[0]:
        raise InputError(f"the app returned no {terms.weighted_by_key!r}, the weight of its update")
    # in this order: what is no number, or infinite, has no whole part
    if isinstance(weight, list) or not 0 <= weight <= (terms.max_examples or 1) or weight != int(weight):
        raise InputError(
            f"{terms.weighted_by_key!r} must be a whole number from 0 to {terms.max_examples}, or max_examples larger"
        )
    for name in found:
        if name not in declared:
            raise InputError(
                f"the app returned metric {name!r}; declare it in the terms with its bound, or leave it out"
            )
    values = []
    for name, bound in declared.items():
        value = found.get(name)
        if value is None or isinstance(value, list) or not abs(value) <= bound:
            raise InputError(f"metric {name!r} must be a number of at most {bound:g}, its bound in the terms")
        values.append(float(value))
    return int(weight), values


def encoded(
    terms: Terms, plan: Plan, lane: str, weight: int, metrics: Sequence[float], values: Vector
) -> npt.NDArray[np.int64]:
    """Weight, metrics and update as whole numbers, all times the weight, in nearest steps; with noise, towards zero.

    Raises
    ------
    InputError
        If a value of the update is beyond the bound.
    """
    # what noise hides must not be longer than the clip, not even by rounding
    inward = plan.amount is not None
    share = weight / (terms.max_examples or 1)
    bounds = terms.metrics_of(lane).values()
    head = [] if terms.max_examples is None else [weight]
    steps = [value / bound * share * plan.steps for value, bound in zip(metrics, bounds, strict=True)]
    head += [math.trunc(value) if inward else round(value) for value in steps]
    out = np.empty(len(head) + values.size, np.int64)
    out[: len(head)] = head
    if values.size and max(values.max(), -values.min()) > terms.largest * (1 + 2.0**-40):
        raise InputError("a value of the update is beyond bound=; train with smaller steps, clip, or raise the bound")
    factor = plan.steps / terms.largest * share * (1 - 2.0**-20 if inward else 1)
    buffer = np.empty(min(_PART, values.size))
    for start in range(0, values.size, _PART):
        part = values[start : start + _PART]
        scaled = buffer[: part.size]
        np.multiply(part, factor, out=scaled)
        (np.trunc if inward else np.rint)(scaled, out=scaled)
        np.clip(scaled, -plan.steps, plan.steps, out=scaled)
        out[len(head) + start : len(head) + start + part.size] = scaled
    if plan.amount is not None and longer(out[len(head) :], plan.steps, euclidean=plan.amount.noise.delta is not None):
        raise InputError("the update is longer than the clip that the noise is for")
    return out


def longer(values: npt.NDArray[np.int64], length: int, *, euclidean: bool) -> bool:
    """Whether whole numbers below 2^31 are longer than ``length``, exactly."""
    if not euclidean:
        return int(np.abs(values).sum()) > length
    # halves of 16 bits, whose products add up within 63 bits
    high, low = values >> 16, values & 0xFFFF
    squared = (int(high @ high) << 32) + (int(high @ low) << 17) + int(low @ low)
    return squared > length * length


def decoded(terms: Terms, plan: Plan, lane: str, clients: int, total: npt.NDArray[np.int64]) -> Mean:
    """The averages that a sum stands for.

    Raises
    ------
    TransportError
        If the weights of all clients are zero.
    """
    declared = terms.metrics_of(lane)
    weight = clients if terms.max_examples is None else int(total[0])
    if weight <= 0:
        raise TransportError("the weights of all clients sum to zero; see that they have examples")
    step = (terms.max_examples or 1) / weight / plan.steps
    start = terms.max_examples is not None
    metrics = {
        name: float(value) * step * bound
        for value, (name, bound) in zip(total[start : start + len(declared)], declared.items(), strict=True)
    }
    change = total[start + len(declared) :].astype(np.float64) * (step * terms.largest)
    return Mean(clients, weight, metrics, change)


def moved(arrays: ArrayRecord, change: Vector) -> ArrayRecord:
    """The arrays plus an average update, in their own types and shapes."""
    out = {}
    start = 0
    for name, array in arrays.items():
        before = array.numpy()
        part = change[start : start + before.size].reshape(before.shape)
        out[name] = Array(np.asarray(before + part, dtype=before.dtype))
        start += before.size
    return ArrayRecord(out)


def metric_record(mean: Mean) -> MetricRecord:
    """The averages of the metrics, as Flower records them."""
    return MetricRecord(dict(mean.metrics))
