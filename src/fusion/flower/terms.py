"""What server and clients agree on before anything is trained; each states it alone, and a difference ends the run."""

from __future__ import annotations

import dataclasses
import hashlib
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import msgspec

from fusion.aggregation import joint
from fusion.aggregation.encoding import whole
from fusion.aggregation.masked import Parameters
from fusion.errors import InputError, MismatchError
from fusion.flower.noise import Amount, Noise

__all__ = ["LABEL", "Plan", "Terms"]

LABEL = b"fusion/flower/1/"


@dataclass(frozen=True, slots=True, kw_only=True)
class Terms:
    """How updates are turned into whole numbers and added up. The same at the server and at every client.

    An update is what training changed: the arrays that a client returns minus those it was sent.

    Attributes
    ----------
    bound : float or None
        The largest magnitude that one value of an update may have; a client whose update goes beyond it sends nothing.
        ``clip`` unless given. The steps of the sum are this divided by some 2^31 over the number of clients.
    max_examples : int or None
        The largest weight that a client may have. None: all clients count the same, and no weights are needed.
    clip : float or None
        Updates that are longer are scaled down to this length: the Euclidean norm, or with Laplace noise the sum of
        magnitudes.
    noise : Noise or None
        Noise on the sums. It needs ``clip``, and clients that count the same.
    metrics, evaluate_metrics : mapping of str to float
        The metrics that are averaged, of training and of evaluation, each with its largest magnitude. Others may not be
        returned. Without any, evaluation by the clients is left out.
    threshold, colluding : int or None
        How many clients every sum needs, and how many may work with the server. Chosen safely unless given: see
        `fusion.aggregation.secure_sum`.
    allow_two : bool
        Allow sums over two clients: **each of them learns the other's update**.
    weighted_by_key : str
        The metric that holds a client's weight, a whole number.
    """

    bound: float | None = None
    max_examples: int | None = None
    clip: float | None = None
    noise: Noise | None = None
    metrics: Mapping[str, float] = field(default_factory=dict)
    evaluate_metrics: Mapping[str, float] = field(default_factory=dict)
    threshold: int | None = None
    colluding: int | None = None
    allow_two: bool = False
    weighted_by_key: str = "num-examples"

    def __post_init__(self) -> None:
        if self.bound is None and self.clip is None:
            raise InputError("give bound=, the largest change of a value in one round, or clip=, the longest update")
        for name, value in (("bound", self.bound), ("clip", self.clip)):
            if value is not None:
                _check_magnitude(value, name)
        for which in ("metrics", "evaluate_metrics"):
            # in one order, whoever wrote them: it is that of the values in a sum
            metrics = dict(sorted(getattr(self, which).items()))
            object.__setattr__(self, which, metrics)
            for name, value in metrics.items():
                _check_magnitude(value, f"the bound of metric {name!r}")
                if name == self.weighted_by_key:
                    raise InputError(f"{name!r} is the weight; it is added up anyway, and is no metric")
        if self.max_examples is not None:
            whole(self.max_examples, "max_examples", 1, (1 << 31) - 1)
        if self.noise is not None and (self.clip is None or self.bound is not None):
            raise InputError("noise hides updates of a length that is known: give clip=, and no bound=")
        if self.noise is not None and (self.max_examples is not None or self.evaluate_metrics):
            raise InputError(
                "noise is for updates that count the same, and covers no sums of evaluation: "
                "give no max_examples= and no evaluate_metrics=; evaluate at the server"
            )

    @property
    def largest(self) -> float:
        """The largest magnitude of a value of an update."""
        value = self.clip if self.bound is None else self.bound
        assert value is not None  # noqa: S101 - one of the two was given
        return value

    @property
    def lanes(self) -> tuple[str, ...]:
        """The sums of a run, by the type of Flower's messages: of training, and of evaluation if it has metrics."""
        return ("train", "evaluate") if self.evaluate_metrics else ("train",)

    def metrics_of(self, lane: str) -> Mapping[str, float]:
        """The metrics of one lane, ``"train"`` or ``"evaluate"``."""
        return self.metrics if lane == "train" else self.evaluate_metrics

    def parameters(self, clients: Sequence[str], *, lane: str, values: int, rounds: int, about: bytes) -> Parameters:
        """The masked sums of one lane: ``values`` of an update, the metrics, and the weight.

        ``about`` stands for the run and the shapes of the arrays.

        Raises
        ------
        InputError
            If the terms do not fit so many clients or rounds, or a sum over them would not protect.
        """
        # as fine as 31 bits allow: every sum then fits words of 4 bytes
        limit = ((1 << 31) - 1) // max(1, len(clients))
        if self.max_examples is not None and self.max_examples > limit:
            raise InputError(f"max_examples is at most {limit} with {len(clients)} clients; count in larger units")
        chosen = Parameters.choose(
            clients,
            size=self.overhead(lane) + values,
            limit=limit,
            threshold=self.threshold,
            colluding=self.colluding,
            rounds=rounds,
            allow_two=self.allow_two,
            about=hashlib.sha256(LABEL + lane.encode() + b"\0" + self.encoded() + about).digest(),
        )
        return msgspec.structs.replace(chosen, about=self.bound_to_steps(chosen.about, chosen))

    def bound_to_steps(self, about: bytes, parameters: Parameters | joint.Parameters) -> bytes:
        """``about``, and the steps of noisy sums: who finds others, with another OpenDP, is in no sum with us."""
        if self.noise is None:
            return about
        return hashlib.sha256(LABEL + b"steps\0" + self.plan(parameters).steps.to_bytes(8, "little") + about).digest()

    def plan(self, parameters: Parameters | joint.Parameters) -> Plan:
        """How the sums of these parameters are used.

        Raises
        ------
        InputError
            If the noise is too much for them.
        """
        if self.noise is None:
            return Plan(parameters.limit, None)
        amount = self.noise.amount(
            parameters.limit,
            parts=1 + len(self.metrics),
            rounds=parameters.rounds,
            honest=parameters.threshold - parameters.colluding,
        )
        return Plan(amount.steps, amount)

    def overhead(self, lane: str) -> int:
        """How many values go before the update: the weight and the metrics."""
        return (self.max_examples is not None) + len(self.metrics_of(lane))

    def encoded(self) -> bytes:
        """The one encoding of these terms."""
        return msgspec.msgpack.encode(self._plain(), order="deterministic")

    def check(self, theirs: bytes) -> None:
        """Compare with the terms that the server sent; MismatchError names what differs."""
        try:
            found = msgspec.msgpack.decode(theirs, type=dict)
        except msgspec.DecodeError:
            found = {}
        for name, ours in self._plain().items():
            if found.get(name) != ours:
                raise MismatchError(name, ours, _short(found.get(name)))

    def _plain(self) -> dict[str, object]:
        """Builtins, so that equal terms have equal encodings."""
        fields: dict[str, object] = {}
        for each in dataclasses.fields(self):
            value = getattr(self, each.name)
            if isinstance(value, Mapping):
                value = {str(name): float(bound) for name, bound in value.items()}
            elif each.name in ("bound", "clip") and value is not None:
                value = float(value)
            elif isinstance(value, Noise):
                value = dataclasses.asdict(value)
            fields[each.name] = value
        return fields


@dataclass(frozen=True, slots=True)
class Plan:
    """What whole numbers stand for in the sums of one lane.

    Attributes
    ----------
    steps : int
        The whole number that stands for the largest value of an update, and for the largest of each metric.
    amount : Amount or None
        The noise of each round.
    """

    steps: int
    amount: Amount | None


def _check_magnitude(value: object, name: str) -> None:
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value < math.inf:
        raise InputError(f"{name} must be a number above zero")


def _short(value: object) -> object:
    return value if len(repr(value)) <= 80 else "something longer"
