"""One party's half of a model: what the halves of all models share, and how they stand on disk."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import msgspec
import numpy as np
import numpy.typing as npt
import pandas as pd

from fusion.errors import InputError
from fusion.learning import files
from fusion.learning.design import Design

__all__ = ["Half", "load", "save"]

Floats = npt.NDArray[np.float64]
Parameters = dict[str, str | bool | int | float | dict[int, float] | None]

_VERSION = 1
_WHAT = "the saved model"


@dataclass(frozen=True, slots=True, repr=False, eq=False)
class Half(ABC):
    """What a party holds after a fit; each model adds fields, of types that JSON has or arrays of floats.

    Attributes
    ----------
    label : bool
        Whether this is the label party's.
    peer : str
        The other party.
    model : str
        Names the model; both halves have the same.
    design : Design
    own : (k,) floats
        Coefficients of this party's standardised columns.
    intercept : float or None
        The label party's: at the mean of every column of both parties.
    facts : dict of str to float
    """

    label: bool
    peer: str
    model: str
    design: Design
    own: Floats
    intercept: float | None
    facts: dict[str, float]

    def linear(self, X: Any) -> Floats:
        """This party's part of the linear predictor, (n,)."""
        return np.asarray(self.design.apply(X) @ self.own + (self.intercept or 0.0))

    def per_unit(self) -> tuple[list[str], Floats]:
        """Names and coefficients per unit of this party's columns, before them the intercept at 0 of these."""
        columns = self.design.columns
        names = [column.name for column in columns]
        coefficients = self.own / np.array([column.scale for column in columns])
        if self.intercept is None:
            return names, coefficients
        at_zero = self.intercept - coefficients @ np.array([column.mean for column in columns])
        return ["intercept", *names], np.concatenate([[at_zero], coefficients])

    def bases(self) -> list[str]:
        """What a summary says of base levels."""
        return [f"base level of {column}: {level}" for column, level in self.design.bases.items()]

    @property
    @abstractmethod
    def coefficients(self) -> pd.DataFrame:
        """Of this party's columns, per unit."""

    @abstractmethod
    def summary(self) -> str:
        """The fit as text."""

    @abstractmethod
    def fits(self) -> bool:
        """Whether the fields that the model adds fit together; InputError if one is out of range."""


H = TypeVar("H", bound=Half)


class _Head(msgspec.Struct, frozen=True):
    """What stands before the half in a file."""

    version: int
    estimator: str
    parameters: Parameters


def save(path: Path, estimator: str, parameters: dict[str, Any], half: Half) -> None:
    """Write this party's half; InputError when that fails."""
    files.write(path, _plain(_Head(_VERSION, estimator, parameters)) | _flat(half), _WHAT)


def load(path: Path, estimator: str, kind: type[H]) -> tuple[dict[str, Any], H]:
    """What `save` wrote: the estimator's parameters and the half.

    Raises
    ------
    InputError
        When there is no such file, it holds something else, or its parts do not fit together.
    """
    content = files.read(path, dict[str, Any], _WHAT)
    if content is None:
        raise InputError(f"there is no file {path}")
    try:
        head = msgspec.convert(content, _Head, str_keys=True)
        if head.version != _VERSION or head.estimator != estimator:
            raise InputError(f"{path} holds another kind of model, or one of another version")
        body = {name: value for name, value in content.items() if name not in _Head.__struct_fields__}
        design = {name: value for name, value in body.items() if name in Design.__dataclass_fields__}
        half = msgspec.convert(body | {"design": design}, kind, dec_hook=_array)
    except msgspec.ValidationError:
        raise InputError(f"{path} holds no saved model that this version can read") from None
    # what would not be written like this was not written by us
    if _flat(half) != body:
        raise InputError(f"{path} holds no saved model that this version can read")
    columns, sources, bases = half.design.columns, half.design.sources, half.design.bases
    whole = (
        len(half.own) == len(columns)
        and all(column.scale > 0 for column in columns)
        and {column.source for column in columns} == set(sources)
        and {column.source for column in columns if column.level is not None} == set(bases)
        and all(column.level is not None or column.source not in bases for column in columns)
        and (half.label or half.intercept is None)
        and half.fits()
    )
    if not whole:
        raise InputError(f"{path} is damaged; save the model again")
    return head.parameters, half


def _flat(half: Half) -> dict[str, Any]:
    """The fields of a half, those of its design among them."""
    body: dict[str, Any] = _plain(half)
    design: dict[str, Any] = body.pop("design")
    return body | design


def _plain(fields: Any) -> Any:
    """As JSON has them."""
    return msgspec.json.decode(msgspec.json.encode(fields, enc_hook=_listed))


def _listed(values: Any) -> Any:
    if isinstance(values, np.ndarray | np.generic):
        return values.tolist()
    raise TypeError


def _array(kind: type, values: Any) -> Floats:
    return np.array(msgspec.convert(values, list[float]), dtype=np.float64)
