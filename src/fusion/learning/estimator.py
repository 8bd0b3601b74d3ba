"""What all models of two parties share: parameters, meeting for a fit, predicting, saving, telling what was learned."""

from __future__ import annotations

import hashlib
from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Generic, Self, TypeVar

import numpy as np
import numpy.typing as npt
import pandas as pd

from fusion.channel import Channel
from fusion.errors import InputError
from fusion.learning import half as halves
from fusion.learning.alignment import check_alignment, fingerprint
from fusion.learning.half import Half
from fusion.learning.vertical import one_channel, open_fit, receive_numbers, send_numbers, swap_counts

__all__ = ["Meeting", "VerticalEstimator"]

Floats = npt.NDArray[np.float64]
H = TypeVar("H", bound=Half)


@dataclass(frozen=True, slots=True)
class Meeting:
    """What both sides agreed on before a fit.

    Attributes
    ----------
    label : str
        The label party.
    theirs : int
        Columns of the other side, the label party's constant among them.
    session : bytes
        Names the fit.
    order : bytes
        A hash of the order of the rows, see `fusion.learning.alignment.fingerprint`.
    """

    label: str
    theirs: int
    session: bytes
    order: bytes

    @property
    def model(self) -> str:
        """Names the model that comes of it."""
        return hashlib.sha256(b"fusion/learning/model/1/" + self.session).hexdigest()[:32]


class VerticalEstimator(ABC, Generic[H]):
    """A model with columns of two parties; one of them, the label party, also holds the labels.

    A model names itself, its parameters and its half below, and adds ``__init__``, `fit` and `predict`.
    """

    _NAME: ClassVar[str]
    _OPERATION: ClassVar[str]  # what channels call its operations, before ".fit" and ".predict"
    _PARAMETERS: ClassVar[tuple[str, ...]]
    _HALF: ClassVar[type[Half]]
    _half: H | None = None

    def __repr__(self) -> str:
        return f"{self._NAME}({', '.join(f'{name}={value!r}' for name, value in self.get_params().items())})"

    def get_params(self, deep: bool = True) -> dict[str, Any]:
        """The parameters of the constructor."""
        return {name: getattr(self, name) for name in self._PARAMETERS}

    def set_params(self, **parameters: Any) -> Self:
        """Change parameters before a fit."""
        for name, value in parameters.items():
            if name not in self._PARAMETERS:
                raise InputError(f"there is no parameter {name!r}; there is {', '.join(self._PARAMETERS)}")
            setattr(self, name, value)
        return self

    def save(self, path: str | Path) -> None:
        """Write this party's half of the model to a JSON file, which only its owner may read.

        Raises
        ------
        InputError
            Before a fit, or when the file cannot be written.
        """
        halves.save(Path(path), self._NAME, self.get_params(), self._known())

    @classmethod
    def load(cls, path: str | Path) -> Self:
        """Read what `save` wrote. `predict` then works with the other party's half of the same fit.

        Raises
        ------
        InputError
            When the file is missing, damaged, or holds something else.
        """
        parameters, half = halves.load(Path(path), cls._NAME, cls._HALF)
        if set(parameters) != set(cls._PARAMETERS):
            raise InputError(f"{path} is damaged; save the model again")
        model = cls(**parameters)
        model._checked()
        model._half = half  # type: ignore[assignment]
        return model

    @property
    def facts(self) -> dict[str, float]:
        """Figures of the fit, such as its rows; the label party has more of them."""
        return dict(self._known().facts)

    @property
    def coefficients(self) -> pd.DataFrame:
        """This party's coefficients per unit of its own columns, with what the model says of each.

        The label party's include the intercept: at 0 of its own columns, and at the mean of the other party's.
        """
        return self._known().coefficients

    def summary(self) -> str:
        """The fit as text: facts, and what this party knows of the coefficients."""
        return self._known().summary()

    @abstractmethod
    def leakage(self) -> dict[str, list[str]]:
        """What each side of a fit learns: sentences for the ``"label"`` and for the ``"feature"`` party."""

    @abstractmethod
    def _checked(self) -> object:
        """Raise InputError on parameters out of range."""

    @abstractmethod
    def _announced(self) -> dict[str, str | int]:
        """Parameters as the opening compares them."""

    def _check_numbers(self, *names: str, optional: str) -> None:
        """Raise InputError when parameters are no numbers; the optional one may be None."""
        for name in (*names, optional):
            value = getattr(self, name)
            number = isinstance(value, int | float | np.integer | np.floating) and not isinstance(value, bool)
            if not (number or (name == optional and value is None)):
                raise InputError(f"{name} must be a number")

    def _known(self) -> H:
        if self._half is None:
            raise InputError("this model has not been fitted; call fit on both sides first")
        return self._half

    def _meet(self, peer: Channel, X: Any, x: Floats, *, label: bool, constant: bool) -> Meeting:
        """Begin a fit: compare parameters and rows, and tell how many columns there are."""
        party = peer.name if label else peer.peer
        session = open_fit(peer, party, len(x), self._announced())
        order = fingerprint(X)
        check_alignment(peer, session, order)
        return Meeting(party, swap_counts(peer, x.shape[1] + (label and constant)), session.id, order)

    def _part(self, peer: Channel, label: str, checkpoint: str | Path | None) -> None:
        """End a fit: the receipt, and no more need of a checkpoint."""
        said = self.leakage()
        other = peer.peer if label == peer.name else peer.name
        peer.finish({label: said["label"], other: said["feature"]})
        if checkpoint is not None:
            Path(checkpoint).unlink(missing_ok=True)

    def _predict(
        self,
        peer: Channel,
        X: Any,
        mean: Callable[[Floats], Floats],
        offset: Callable[[int], Floats | float] = lambda rows: 0.0,
    ) -> Floats | None:
        """In one flight, for the label party: ``mean`` of the linear predictor with its ``offset`` of so many rows."""
        half, channel = self._known(), one_channel(peer)
        with channel.operation(f"{self._OPERATION}.predict"):
            if channel.peer != half.peer:
                raise InputError(f"this model was fitted with {half.peer!r}, not with {channel.peer!r}")
            channel.phase("predicting")
            z = half.linear(X)
            added = offset(len(z))
            label, other = (channel.name, channel.peer) if half.label else (channel.peer, channel.name)
            session = channel.open(learn=label, kinds=(), rows=len(z), parameters={"model": half.model})
            check_alignment(channel, session, fingerprint(X))
            found = None
            if half.label:
                found = mean(z + receive_numbers(channel, len(z)) + added)
            else:
                send_numbers(channel, z)
            channel.finish(
                {
                    label: ["the other side's part of the linear predictor of every row", "a prediction for every row"],
                    other: ["how many rows were predicted"],
                }
            )
        return found
