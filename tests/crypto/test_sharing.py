"""Shamir's secret sharing: enough shares give the secret back, fewer say nothing, malformed ones are refused."""

from __future__ import annotations

import itertools
import random

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fusion.crypto.sharing import PRIME, SHARE_BYTES, combine, split
from fusion.errors import InputError, PeerError

SECRET = bytes(range(32))


def seeded(seed: int):
    return random.Random(seed).randbytes


def probably_prime(n: int) -> bool:
    """Miller and Rabin's test with 40 bases."""
    twos = ((n - 1) & (1 - n)).bit_length() - 1
    for base in range(2, 42):
        x = pow(base, (n - 1) >> twos, n)
        if x not in (1, n - 1) and not any((x := x * x % n) == n - 1 for _ in range(twos - 1)):
            return False
    return True


def test_the_modulus_is_the_smallest_prime_above_every_secret() -> None:
    assert [n for n in range(2**256, PRIME + 1) if n % 2 and probably_prime(n)] == [PRIME]


@given(st.binary(min_size=32, max_size=32), st.integers(1, 12), st.data())
def test_any_threshold_of_holders_has_the_secret(secret: bytes, threshold: int, data: st.DataObject) -> None:
    holders = data.draw(st.lists(st.integers(1, 2**32 - 1), min_size=threshold, max_size=threshold + 4, unique=True))
    shares = dict(zip(holders, split(secret, threshold, holders), strict=True))
    some = data.draw(st.permutations(holders))[:threshold]
    assert combine(some, [[shares[x] for x in some]]) == [secret]


def test_every_choice_of_holders_and_several_secrets_at_once() -> None:
    secrets = [SECRET, bytes(32), b"\xff" * 32]
    shares = [split(secret, 3, [1, 2, 3, 4, 5], seeded(1)) for secret in secrets]
    for chosen in itertools.permutations(range(5), 3):
        assert combine([x + 1 for x in chosen], [[s[x] for x in chosen] for s in shares]) == secrets


def test_one_share_too_few_says_nothing() -> None:
    """Whatever the secret, two of three shares are as likely: exactly one polynomial goes through them and it."""
    shares = split(SECRET, 3, [1, 2, 3], seeded(2))
    one, two = (int.from_bytes(share, "big") for share in shares[:2])
    for other in (0, 1, 2**256 - 1):
        # Lagrange at 3 from the points 0, 1 and 2
        third = (other - 3 * one + 3 * two) % PRIME
        assert combine([1, 2, 3], [[*shares[:2], third.to_bytes(SHARE_BYTES, "big")]]) == [other.to_bytes(32, "big")]


def test_shares_are_spread_over_the_field() -> None:
    source = seeded(3)
    first = np.array([split(bytes(32), 2, [1, 2], source)[0][1] for _ in range(25_600)])
    counts = np.bincount(first, minlength=256)
    assert ((counts - 100) ** 2 / 100).sum() < 360  # 255 degrees of freedom: passed by all but some 10^-5


def test_the_polynomial_by_hand() -> None:
    """Degree 1 with slope 7: the share at x is the secret and 7 x."""
    assert split(SECRET, 2, [1, 9], lambda n: (7).to_bytes(n, "big")) == [
        (int.from_bytes(SECRET, "big") + 7 * x).to_bytes(33, "big") for x in (1, 9)
    ]


@pytest.mark.parametrize(
    ("secret", "threshold", "holders"),
    [
        (b"short", 2, [1, 2]),
        (SECRET, 0, [1]),
        (SECRET, 3, [1, 2]),
        (SECRET, 1, [0]),
        (SECRET, 2, [1, 1]),
        (SECRET, 1, []),
    ],
)
def test_arguments_that_do_not_fit(secret: bytes, threshold: int, holders: list[int]) -> None:
    with pytest.raises(InputError):
        split(secret, threshold, holders)


@pytest.mark.parametrize("share", [b"", bytes(32), bytes(34), PRIME.to_bytes(33, "big"), b"\xff" * 33])
def test_malformed_shares(share: bytes) -> None:
    with pytest.raises(PeerError, match="below the prime"):
        combine([1, 2], [[bytes(33), share]])


def test_shares_that_give_no_secret_or_are_too_few() -> None:
    with pytest.raises(PeerError, match="do not belong"):
        combine([1], [[(2**256).to_bytes(33, "big")]])
    with pytest.raises(PeerError, match="1 shares came where 2"):
        combine([1, 2], [[bytes(33)]])
