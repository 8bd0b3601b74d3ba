"""Making keys, and one run at full strength."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

import fusion
from fusion import InputError, aggregation
from fusion.aggregation import EncryptedArray, EncryptedGroups, PrivateKey, PublicKey


def test_reached_from_the_top():
    assert fusion.aggregation is aggregation


@pytest.mark.parametrize(
    ("scheme", "parameters", "match"),
    [
        ("rot13", {}, 'take one of "paillier", "elgamal"'),
        (None, {}, "no such scheme"),
        ("cleartext", {}, "no such scheme"),
        ("lattice", {}, "no such scheme"),
        ("paillier", {"bits": 2048}, "at least 3072 bits"),
        ("paillier", {"slots": 2}, "one parameter, bits"),
        ("elgamal", {"bits": 3072}, "one parameter, slots"),
        ("elgamal", {"slots": 0}, "slots must be"),
        ("elgamal", {"slots": 2.0}, "slots must be"),
        ("elgamal", {"slots": 5000}, "slots must be"),
    ],
)
def test_parameters_are_checked(scheme, parameters, match):
    with pytest.raises(InputError, match=match):
        aggregation.generate(scheme, **parameters)


def test_paillier_at_full_strength():
    public, private = aggregation.generate("paillier")
    assert repr(public) == f"PublicKey(paillier, 3072 bits, id={public.key_id.hex()[:8]})"
    plain = np.arange(-150, 150).reshape(3, 100)
    encrypted = PublicKey.from_bytes(public.to_bytes()).encrypt(plain, bound=150, terms=1000)
    assert len(encrypted.to_bytes()) < 3 * 768 + 300  # each row is one ciphertext
    result = EncryptedArray.from_bytes((np.array([[1, -2, 3]]) @ encrypted).to_bytes(full=True), public)
    owner = PrivateKey.from_bytes(private.to_bytes())
    assert (owner.decrypt(result) == np.array([[1, -2, 3]]) @ plain).all()
    frame = pd.DataFrame({"x": [1.5, 2.25, -3], "y": [1, 2, 3]})
    groups = owner.encrypt(frame, decimals=2, bound=10, terms=100, moments=2).groupby(["a", "b", "a"])
    groups = public.encrypt(frame, decimals=2, bound=10, terms=100, moments=2).groupby(np.array(["a", "b", "a"]))
    received = EncryptedGroups.from_bytes(groups.agg(["count", "mean", "var"]).to_bytes(), public)
    expected = frame.groupby(np.array(["a", "b", "a"])).agg(["count", "mean", "var"])
    pd.testing.assert_frame_equal(private.decrypt(received), expected)
