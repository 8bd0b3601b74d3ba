"""Exchange with python-paillier: what one side encrypts, the other computes on and decrypts."""

from __future__ import annotations

import builtins
import importlib
import sys

import numpy as np
import phe
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fusion.aggregation import phe as exchange
from fusion.crypto import paillier
from fusion.errors import InputError, PeerError

THEIR_PUBLIC, THEIR_PRIVATE = phe.generate_paillier_keypair(n_length=256)
PUBLIC = exchange.insecure_public_key(THEIR_PUBLIC)
PRIVATE = exchange.insecure_private_key(THEIR_PRIVATE)
OURS = paillier.insecure_generate(256)
SAFE = int(THEIR_PUBLIC.n) // 3 - 1

integers = st.one_of(st.integers(-SAFE, SAFE), st.integers(-3, 3), st.sampled_from([SAFE, -SAFE]))


def test_keys_there_and_back() -> None:
    assert int(PUBLIC.n) == THEIR_PUBLIC.n == exchange.to_public_key(PUBLIC).n
    assert exchange.to_private_key(PRIVATE) == THEIR_PRIVATE
    assert exchange.insecure_private_key(exchange.to_private_key(OURS)).primes() == tuple(sorted(OURS.primes()))
    assert PRIVATE.public == PUBLIC


def test_small_keys_need_an_insecure_call() -> None:
    with pytest.raises(PeerError, match="256 bits"):
        exchange.public_key(THEIR_PUBLIC)
    with pytest.raises(InputError, match="256 bits"):
        exchange.private_key(THEIR_PRIVATE)


@given(st.lists(integers, max_size=5))
def test_what_they_encrypt_we_decrypt(numbers: list[int]) -> None:
    column, exponent = exchange.ciphertexts([THEIR_PUBLIC.encrypt(x) for x in numbers], PUBLIC)
    assert exponent == 0
    assert PRIVATE.decrypt(column) == numbers


@given(st.lists(integers, max_size=5))
def test_what_we_encrypt_they_decrypt(numbers: list[int]) -> None:
    for key in (PUBLIC, PRIVATE):
        theirs = exchange.encrypted_numbers(key.encrypt(numbers))
        assert [THEIR_PRIVATE.decrypt(x) for x in theirs] == numbers


@given(st.lists(st.integers(-(2**40), 2**40), min_size=1, max_size=5), st.data())
def test_both_compute_the_same(numbers: list[int], data: st.DataObject) -> None:
    """Sums, products and differences, each by one library on ciphertexts of the other."""
    weights = data.draw(st.lists(st.integers(-(2**40), 2**40), min_size=len(numbers), max_size=len(numbers)))
    expected = sum(x * w for x, w in zip(numbers, weights, strict=True))
    theirs = [THEIR_PUBLIC.encrypt(x) for x in numbers]
    column, _ = exchange.ciphertexts(theirs, PUBLIC)
    ours = PUBLIC.combine(np.array([weights]), column)
    assert [THEIR_PRIVATE.decrypt(x) for x in exchange.encrypted_numbers(ours)] == [expected]
    total = sum(x * w for x, w in zip(exchange.encrypted_numbers(PUBLIC.encrypt(numbers)), weights, strict=True))
    assert PRIVATE.decrypt(exchange.ciphertexts([total], PUBLIC)[0]) == [expected]


@given(st.lists(st.integers(-(2**24), 2**24).map(lambda x: x / 2**12), min_size=1, max_size=5))
def test_fractions_come_at_their_least_exponent(numbers: list[float]) -> None:
    """Left to itself phe gives each number its own exponent."""
    for theirs in (
        [THEIR_PUBLIC.encrypt(x, precision=2**-12) for x in numbers],
        list(map(THEIR_PUBLIC.encrypt, numbers)),
    ):
        column, exponent = exchange.ciphertexts(theirs, PUBLIC)
        assert exponent == min(x.exponent for x in theirs)
        assert [m * 16.0**exponent for m in PRIVATE.decrypt(column)] == numbers
        back = exchange.encrypted_numbers(column, exponent=exponent)
        assert [THEIR_PRIVATE.decrypt(x) for x in back] == numbers


def test_their_results_are_hidden_before_they_pass() -> None:
    """phe leaves a result as it was computed until it is asked for the ciphertext."""
    a = THEIR_PUBLIC.encrypt(1)
    total = a + 1
    column, _ = exchange.ciphertexts([total], PUBLIC)
    assert column.numbers() != [a.ciphertext(be_secure=False) * (1 + THEIR_PUBLIC.n) % THEIR_PUBLIC.nsquare]
    ours = PUBLIC.encrypt([1])
    assert exchange.encrypted_numbers(ours)[0].ciphertext() != ours.numbers()[0]


def test_hostile_numbers_are_refused() -> None:
    good = THEIR_PUBLIC.encrypt(1)
    n = THEIR_PUBLIC.n
    for bad in (0, n, -1, THEIR_PRIVATE.p):
        with pytest.raises(PeerError, match="ciphertext 1 "):
            exchange.ciphertexts([good, _number(bad)], PUBLIC)
    far = phe.EncryptedNumber(THEIR_PUBLIC, good.ciphertext(), 10**9)
    with pytest.raises(PeerError, match="exponent of number 1"):
        exchange.ciphertexts([good, far], PUBLIC)
    odd = phe.EncryptedNumber(THEIR_PUBLIC, good.ciphertext(), 0.5)
    with pytest.raises(PeerError, match="exponent of number 0"):
        exchange.ciphertexts([odd], PUBLIC)
    with pytest.raises(InputError, match="another key"):
        exchange.ciphertexts([good], OURS.public)


def _number(ciphertext: int) -> phe.EncryptedNumber:
    number = phe.EncryptedNumber(THEIR_PUBLIC, ciphertext, 0)
    number._EncryptedNumber__is_obfuscated = True  # or phe changes it before we see it
    return number


def test_without_phe_the_error_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    real = builtins.__import__

    def missing(name: str, *args: object) -> object:
        if name == "phe":
            raise ModuleNotFoundError("No module named 'phe'", name="phe")
        return real(name, *args)  # type: ignore[arg-type]

    monkeypatch.setattr(builtins, "__import__", missing)
    monkeypatch.delitem(sys.modules, "fusion.aggregation.phe")
    with pytest.raises(InputError, match=r"pip install 'privacy-fusion\[phe\]'"):
        importlib.import_module("fusion.aggregation.phe")


def test_the_usual_size() -> None:
    private = paillier.generate()
    theirs = exchange.to_private_key(private)
    column = private.public.encrypt([5, -7])
    assert [theirs.decrypt(x) for x in exchange.encrypted_numbers(column)] == [5, -7]
    key = exchange.public_key(theirs.public_key)
    assert key == exchange.private_key(theirs).public == private.public
    assert private.decrypt(exchange.ciphertexts([theirs.public_key.encrypt(-3)], key)[0]) == [-3]


def test_what_is_none_of_phe_is_refused() -> None:
    for call, value in (
        (exchange.public_key, THEIR_PRIVATE),
        (exchange.private_key, THEIR_PUBLIC),
        (exchange.to_public_key, THEIR_PUBLIC),
        (exchange.encrypted_numbers, [1]),
        (lambda value: exchange.ciphertexts(value, PUBLIC), [1, 2]),
        (lambda value: exchange.ciphertexts(value, PUBLIC), THEIR_PUBLIC.encrypt(1)),
    ):
        with pytest.raises(InputError, match=r"^expected "):
            call(value)
