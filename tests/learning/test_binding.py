"""What a checkpoint says of the data it belongs to: whether they are the same, and as little else as can be."""

from __future__ import annotations

import hashlib

import numpy as np
import pytest
from cryptography.hazmat.primitives.kdf.scrypt import Scrypt

from fusion.errors import InputError
from fusion.learning.binding import VERSION, Binding, Bound, read, write

X, Y = np.arange(12.0).reshape(6, 2), np.array([0.0, 1.0, 0.0, 1.0, 1.0, 0.0])
ORDER = b"\1" * 32


def test_the_same_data_hold_a_mark_and_others_do_not():
    mark = Binding(ORDER, "ridge", X, Y).mark
    assert Binding(ORDER, "ridge", X, Y).holds(mark)
    assert Binding(ORDER, "ridge", np.asfortranarray(X), Y).holds(mark)
    for other in (
        Binding(b"\2" * 32, "ridge", X, Y),
        Binding(ORDER, "other", X, Y),
        Binding(ORDER, "ridge", X[::-1], Y),
        Binding(ORDER, "ridge", X, 1 - Y),
        Binding(ORDER, "ridge", X),
    ):
        assert not other.holds(mark)


def test_marks_of_the_same_data_differ():
    """Two files do not say that they are of the same data, and nobody makes a table of guesses beforehand."""
    marks = {Binding(ORDER, "ridge", X, Y).mark for _ in range(4)}
    assert len(marks) == 4
    assert len({mark[:32] for mark in marks}) == 4
    assert len({mark[32:] for mark in marks}) == 4


def test_a_guess_costs_what_scrypt_costs():
    """By another implementation: 32 MiB for each guess, and no hash of the data that would be faster to compare."""
    plain = hashlib.sha256(ORDER + b"ridge" + X.tobytes() + Y.tobytes())
    mark = Binding(ORDER, "ridge", X, Y).mark
    salt = bytes.fromhex(mark)[:16]
    assert bytes.fromhex(mark)[16:] == Scrypt(salt, 32, n=1 << 15, r=8, p=1).derive(plain.digest())
    assert plain.hexdigest() not in mark


@pytest.mark.parametrize("mark", ["", "00", "zz", "é", "0" * 95, "0" * 96])
def test_what_is_no_mark_is_not_held(mark):
    assert not Binding(ORDER, "ridge", X, Y).holds(mark)


def test_files(tmp_path):
    path, binding = tmp_path / "fit.json", Binding(ORDER, "ridge", X, Y)
    assert read(path, Bound, binding) is None
    write(path, Bound(VERSION, binding.mark))
    assert read(path, Bound, Binding(ORDER, "ridge", X, Y)) == Bound(VERSION, binding.mark)
    with pytest.raises(InputError, match="other data or parameters"):
        read(path, Bound, Binding(ORDER, "ridge", X, 1 - Y))
    write(path, Bound(VERSION - 1, binding.mark))
    with pytest.raises(InputError, match="other data or parameters"):
        read(path, Bound, binding)
