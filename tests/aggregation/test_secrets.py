"""No secret and no ciphertext where somebody might look: printing, errors, pickles."""

from __future__ import annotations

import copy
import pickle
import re

import numpy as np
import pandas as pd
import pytest

from fusion import FusionError, InputError
from fusion.aggregation import EncryptedArray, PrivateKey

from .keypairs import pair

CANARY = 714253  # a plaintext nobody may see
LIMITS = {"bound": 10**6, "terms": 500}


def objects(keys):
    public, private = keys
    array = public.encrypt([CANARY, 1], **LIMITS)
    frame = public.encrypt(pd.DataFrame({"x": [CANARY, 1]}), **LIMITS)
    groups = frame.groupby(np.array([0, 1]))
    made = [public, private, array, array + array, array.groupby([0, 1]), frame, groups, groups.agg(["sum"])]
    return [*made, public._scheme, private._scheme, array._cells]


def secrets(private):
    """The secret of a key as it might be shown: numbers, hexadecimal and bytes."""
    body = private._scheme.to_bytes()
    parts = [body[:1500], body[: len(body) // 2][:1500], body[len(body) // 2 :][:1500], body[-1500:], body[:32]]
    numbers = [int.from_bytes(part, order) for part in parts for order in ("big", "little")]
    return [*(part.hex() for part in parts), *(repr(part)[2:-1] for part in parts), *map(str, numbers)]


def test_printing_shows_no_secret(keys):
    for thing in objects(keys):
        for text in (repr(thing), str(thing), f"{thing}", repr([thing]), repr({"x": thing})):
            shown = re.sub(r"\b(0x|id=)[0-9a-f]+", "", text)  # addresses and ids have any six digits once in a while
            assert str(CANARY) not in shown
            assert not [secret for secret in secrets(keys[1]) if secret in shown]


def test_nothing_is_pickled(keys):
    for thing in objects(keys)[:8]:
        for attempt in (pickle.dumps, copy.copy, copy.deepcopy):
            with pytest.raises(InputError, match=r"is not pickled|are not pickled"):
                attempt(thing)
    with pytest.raises(InputError):
        pickle.dumps(keys[1]._scheme)


def test_errors_hold_no_value(keys):
    public, private = keys
    with pytest.raises(InputError) as beyond:
        public.encrypt([1, CANARY], bound=1000, terms=10)
    missing = pd.DataFrame({"x": [CANARY, np.nan]})
    with pytest.raises(InputError) as empty:
        public.encrypt(missing, **LIMITS)
    with pytest.raises(InputError) as fraction:
        public.encrypt([CANARY + 0.5], **LIMITS)
    data = bytearray(private.to_bytes())
    data[-1] ^= 1
    with pytest.raises(InputError) as damaged:
        PrivateKey.from_bytes(bytes(data))
    for caught in (beyond, empty, fraction, damaged):
        error: BaseException | None = caught.value
        while error is not None:
            assert isinstance(error, FusionError)
            assert str(CANARY) not in repr(error)
            assert "\n" not in str(error)
            assert not [secret for secret in secrets(private) if secret in repr(error)]
            error = error.__cause__ or (None if error.__suppress_context__ else error.__context__)


def test_public_bytes_hold_no_secret(keys):
    public, private = keys
    body = private._scheme.to_bytes()
    half = len(body) // 2
    array = private.encrypt([CANARY], **LIMITS)
    for data in (public.to_bytes(), array.to_bytes(), EncryptedArray.from_bytes(array.to_bytes(), public).to_bytes()):
        for secret in (body[:half], body[half:], body[-64:]):
            assert secret not in data
            assert secret[::-1] not in data
    assert body in private.to_bytes()


def test_other_keys_see_nothing():
    # the same plaintext under two keys has nothing in common
    one, other = pair("elgamal")[0], pair("elgamal", 1)[0]
    assert one.key_id != other.key_id
    assert one.encrypt([5], **LIMITS).to_bytes()[-64:-32] != other.encrypt([5], **LIMITS).to_bytes()[-64:-32]
