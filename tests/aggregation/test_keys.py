"""Making keys, and one run at full strength."""

from __future__ import annotations

import os
import subprocess
import sys

import numpy as np
import pandas as pd
import pytest

import fusion
from fusion import InputError, PeerError, aggregation
from fusion.aggregation import EncryptedArray, EncryptedGroups, PrivateKey, PublicKey
from fusion.aggregation import ckks as adapter
from fusion.crypto import ckks


def test_reached_from_the_top():
    assert fusion.aggregation is aggregation


@pytest.mark.parametrize(
    ("scheme", "parameters", "match"),
    [
        ("rot13", {}, 'take one of "paillier", "elgamal"'),
        (None, {}, "no such scheme"),
        ("cleartext", {}, "no such scheme"),
        ("lattice", {"degree": 4096}, "takes bound, terms and decimals"),
        ("lattice", {"terms": 0}, "terms must be"),
        ("lattice", {"terms": 2**32 + 1}, "terms must be"),
        ("lattice", {"bound": 0}, "bound must be"),
        ("lattice", {"bound": 2**29, "terms": 2**20}, "below 2\\^49"),
        ("lattice", {"decimals": 2}, "below 2\\^49"),
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


def test_optional_packages_are_named_when_missing(monkeypatch):
    monkeypatch.setitem(sys.modules, "tenseal", None)
    with pytest.raises(InputError, match=r"pip install 'privacy-fusion\[tenseal\]'"):
        aggregation.generate("ckks", length=7, bound=3, terms=11)


def test_optional_packages_are_not_imported():
    code = "import sys, fusion.aggregation; print({'tenseal', 'phe', 'opendp'} & set(sys.modules))"
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True)
    assert done.stdout == "set()\n"


@pytest.mark.parametrize(
    ("parameters", "match"),
    [
        ({"length": 4, "bound": 1}, "takes length, bound and terms"),
        ({"length": 4, "bound": 1, "terms": 1, "scale": 2}, "takes length, bound and terms"),
        ({"length": 0, "bound": 1, "terms": 1}, "length must be"),
        ({"length": 4, "bound": 0, "terms": 1}, "bound must be"),
        ({"length": 4, "bound": 2**20, "terms": 2**15}, "at most 2\\^34"),
        ({"length": 4, "bound": 2**10, "terms": 2**15, "decimals": 3}, "at most 2\\^34"),
    ],
)
def test_parameters_of_ckks(parameters, match):
    with pytest.raises(InputError, match=match):
        aggregation.generate("ckks", **parameters)


def test_ckks_is_exact_to_the_edge():
    # the largest sums that are allowed, with the most additions and a result in two ciphertexts
    public, private = aggregation.generate("ckks", length=5000, bound=2**14, terms=2**20)
    plain = np.random.default_rng(1).integers(-(2**14), 2**14, (3, 5000), endpoint=True)
    encrypted = PublicKey.from_bytes(public.to_bytes()).encrypt(plain, bound=2**14, terms=2**20)
    weights = np.array([[2**19, -(2**18), 2**18], [1, 2, 3], [-(2**20), 0, 0]])
    result = EncryptedArray.from_bytes((weights @ encrypted).to_bytes(), public)
    assert (PrivateKey.from_bytes(private.to_bytes()).decrypt(result) == weights @ plain).all()


def test_a_ckks_key_for_real_numbers_is_refused():
    key = ckks.generate(10, 1.0, 10)
    for read, data in (
        (adapter.public_from_bytes, key.public.to_bytes()),
        (adapter.private_from_bytes, key.to_bytes()),
    ):
        with pytest.raises(PeerError, match="not for whole numbers"):
            read(data)
