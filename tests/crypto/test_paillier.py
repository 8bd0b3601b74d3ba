"""Paillier against its definition, every operation against integers, hostile keys and ciphertexts."""

from __future__ import annotations

import copy
import hashlib
import math
import os
import pickle
import threading
from collections.abc import Callable

import gmpy2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from reference import paillier as twin

from fusion.crypto import _powers, _primes, packing, paillier
from fusion.crypto.paillier import Ciphertexts, PrivateKey, PublicKey
from fusion.errors import FusionError, InputError, PeerError


def seeded(seed: str) -> Callable[[int], bytes]:
    count = iter(range(1 << 62))
    return lambda n: hashlib.shake_256(f"{seed}/{next(count)}".encode()).digest(n)


KEY = paillier.insecure_generate(256, seeded("key"))
PUBLIC = KEY.public
N = int(PUBLIC.n)
HALF = N // 2
OTHER = paillier.insecure_generate(256, seeded("other"))


def centred(m: int) -> int:
    m %= N
    return m - N if m > HALF else m


plaintexts = st.one_of(st.integers(-HALF, HALF), st.integers(-5, 5), st.sampled_from([0, 1, -1, HALF, -HALF]))
columns = st.lists(plaintexts, max_size=6)


# --- keys ---


def test_generated_keys_are_as_documented() -> None:
    for bits in (128, 144, 256, 512):
        p, q = paillier.insecure_generate(bits).primes()
        n = p * q
        assert n.bit_length() == bits
        assert p != q
        assert p.bit_length() == q.bit_length() == bits // 2
        assert p % 4 == q % 4 == 3
        assert gmpy2.is_prime(p)
        assert gmpy2.is_prime(q)
        assert math.gcd(p - 1, q - 1) == 2
        assert math.gcd(n, (p - 1) * (q - 1)) == 1
        assert all((p - 1) // 2 % x and (q - 1) // 2 % x for x in range(3, 2**16, 2))
        assert abs(p - q).bit_length() > max(bits // 2 - 100, bits // 4)


def test_the_base_and_the_identity_come_from_the_modulus() -> None:
    assert PUBLIC.h_s == twin.base(N)
    assert PUBLIC.bits == 256
    assert len(PUBLIC.key_id) == 16
    assert PUBLIC.key_id == hashlib.sha256(b"fusion/crypto/paillier/key/1" + N.to_bytes(32, "big")).digest()[:16]
    assert PublicKey.insecure_from_modulus(N) == PUBLIC != OTHER.public
    assert len({PUBLIC, PublicKey.insecure_from_modulus(N), OTHER.public}) == 2
    assert PUBLIC != "a key"


def test_keys_pass_through_bytes() -> None:
    assert PublicKey.insecure_from_bytes(PUBLIC.to_bytes()) == PUBLIC
    assert PrivateKey.insecure_from_bytes(KEY.to_bytes()).primes() == KEY.primes()
    assert len(PUBLIC.to_bytes()) == len(KEY.to_bytes()) == 32


@pytest.mark.parametrize("bits", [3071, 2048, 127, 0, -16, 8208, 3080, True, 256.0, "3072"])
def test_other_lengths_are_refused(bits: object) -> None:
    with pytest.raises(InputError, match="bits"):
        paillier.generate(bits)  # type: ignore[arg-type]


def test_small_keys_need_an_insecure_call() -> None:
    p, q = KEY.primes()
    for call in (
        lambda: PublicKey.from_modulus(N),
        lambda: PublicKey.from_bytes(PUBLIC.to_bytes()),
        lambda: PrivateKey.from_primes(p, q),
        lambda: PrivateKey.from_bytes(KEY.to_bytes()),
    ):
        with pytest.raises(FusionError, match="256 bits"):
            call()


PRIME = int(gmpy2.next_prime(1 << 255))
HOSTILE = {
    "even": N + 1,
    "a prime": PRIME,
    "a small factor": 3 * PRIME,
    "a factor just below 2^16": 65521 * PRIME,
    "a square": int(gmpy2.next_prime(1 << 127)) ** 2,
    "a cube": int(gmpy2.next_prime(1 << 90)) ** 3,
    "zero": 0,
    "one": 1,
    "negative": -N,
    "too short": (1 << 127) - 1,
    "too long": (1 << 8192) + 1,
}


@pytest.mark.parametrize("fault", HOSTILE)
def test_hostile_moduli_are_refused(fault: str) -> None:
    with pytest.raises(PeerError, match="key"):
        PublicKey.insecure_from_modulus(HOSTILE[fault])


@pytest.mark.parametrize("data", [b"", b"\0" + PUBLIC.to_bytes(), bytes(32), b"\xff" * 1025])
def test_hostile_bytes_of_keys_are_refused(data: bytes) -> None:
    with pytest.raises(PeerError, match="key"):
        PublicKey.insecure_from_bytes(data)


def test_damaged_private_keys_are_refused() -> None:
    p, q = KEY.primes()
    r, _ = paillier.insecure_generate(272, seeded("r")).primes()
    composite = int(gmpy2.next_prime(1 << 63) * gmpy2.next_prime(1 << 64))
    shared = next(x for x in range(2 * p + 1, p << 20, 2 * p) if gmpy2.is_prime(x))
    for a, b in [(p, p), (p, q + 2), (p + 1, q), (p, r), (composite, composite + 2), (p, -q), (1, N), (p, shared)]:
        with pytest.raises(InputError, match="private key"):
            PrivateKey.insecure_from_primes(a, b)
    for data in (b"", KEY.to_bytes()[:-1], KEY.to_bytes() + b"\0", bytes(32), KEY.to_bytes()[:-2] + b"\0\0"):
        with pytest.raises(InputError, match="private key"):
            PrivateKey.insecure_from_bytes(data)


# --- encryption ---


@pytest.mark.parametrize("n", [1, 3, 4, 5, 300, 700])
def test_ciphertexts_are_those_of_the_definition(n: int) -> None:
    """Without a table, with either width of digits, and across batches."""
    rng = np.random.default_rng(n)
    numbers = [0, 1, -1, HALF, -HALF, *map(int, rng.integers(-(2**62), 2**62, 700))][-n:]
    stream = seeded("r")(16 * n)
    r = [int.from_bytes(stream[16 * i : 16 * i + 16], "little") for i in range(n)]
    expected = [twin.encrypt(N, m, x) for m, x in zip(numbers, r, strict=True)]
    public, private = PublicKey.insecure_from_modulus(N), PrivateKey.insecure_from_primes(*KEY.primes())
    for key in (public, private):
        for _ in range(2):
            column = key.encrypt(numbers, source=lambda size: stream[:size])
            assert column.numbers() == expected
    assert private.decrypt(column) == numbers
    assert [twin.decrypt(*KEY.primes(), c) for c in expected[:8]] == numbers[:8]


def test_exponents_have_half_the_length_of_the_modulus() -> None:
    asked: list[int] = []

    def source(n: int) -> bytes:
        asked.append(n)
        return os.urandom(n)

    for key in (PUBLIC, KEY):
        key.encrypt([1, 2, 3], source=source)
    PUBLIC.rerandomise(PUBLIC.encrypt([1]), source=source)
    assert asked == [48, 48, 16]


@given(columns)
def test_both_keys_encrypt_what_is_decrypted(numbers: list[int]) -> None:
    for key in (PUBLIC, KEY):
        column = key.encrypt(numbers)
        assert KEY.decrypt(column) == numbers
        assert len(column) == len(numbers)
    assert len(set(PUBLIC.encrypt([7] * 5).numbers())) == 5


def test_integers_of_every_kind() -> None:
    for numbers in ([1, -2], [np.int8(1), np.int64(-2)], np.array([1, -2], dtype=np.int16), [gmpy2.mpz(1), -2]):
        assert KEY.decrypt(PUBLIC.encrypt(numbers)) == [1, -2]
    assert KEY.decrypt(PUBLIC.encrypt(np.array([2**64 - 1], dtype=np.uint64))) == [2**64 - 1]
    assert KEY.decrypt(PUBLIC.encrypt(np.array([2**100, -3], dtype=object))) == [2**100, -3]
    assert KEY.decrypt(PUBLIC.encrypt(np.array([], dtype=np.int64))) == []


@pytest.mark.parametrize("key", [PUBLIC, KEY])
def test_what_is_no_integer_or_too_large_is_refused(key: PublicKey) -> None:
    for numbers in ([1, 2.0], [1, True], [1, "2"], [1, None], [1, np.float64(2)]):
        with pytest.raises(InputError, match="place 1"):
            key.encrypt(numbers)
    for array in (np.zeros(2), np.zeros((2, 2), dtype=int), np.array([True])):
        with pytest.raises(InputError, match="integers"):
            key.encrypt(array)
    for number in (HALF + 1, -HALF - 1, 123456789 << 300):
        with pytest.raises(InputError, match="place 2") as caught:
            key.encrypt([0, 1, number])
        assert str(abs(number)) not in str(caught.value)


def test_threads_share_a_key() -> None:
    public, private = PublicKey.insecure_from_modulus(N), PrivateKey.insecure_from_primes(*KEY.primes())
    results: list[list[int]] = []

    def run() -> None:
        for n in (2, 5, 450):
            for key in (public, private):
                results.append(KEY.decrypt(key.encrypt(range(n)), threads=1))

    threads = [threading.Thread(target=run) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(map(len, results)) == [2] * 6 + [5] * 6 + [450] * 6
    assert all(result == list(range(len(result))) for result in results)


@pytest.mark.parametrize("width", [0, 4, 8])
@given(data=st.data())
@settings(max_examples=20)
def test_powers_of_any_base(width: int, data: st.DataObject) -> None:
    root = data.draw(st.sampled_from([N, 15, 3, int(KEY.primes()[0])]))
    base = data.draw(st.integers(1, root * root - 1).filter(lambda x: math.gcd(x, root) == 1))
    rows = np.frombuffer(data.draw(st.binary(min_size=12, max_size=12)), dtype=np.uint8).reshape(4, 3).copy()
    rows[0] = 0
    powers = _powers.Powers(base, root)
    powers._seen = {0: -10, 4: 0, 8: 400}[width]
    expected = [pow(base, int.from_bytes(row.tobytes(), "little"), root * root) for row in rows]
    assert powers.of(rows) == expected
    assert powers._width == width


# --- arithmetic ---


@given(columns, st.data())
def test_addition(a: list[int], data: st.DataObject) -> None:
    b = data.draw(st.lists(plaintexts, min_size=len(a), max_size=len(a)))
    sums = [centred(x + y) for x, y in zip(a, b, strict=True)]
    assert KEY.decrypt(PUBLIC.add(PUBLIC.encrypt(a), KEY.encrypt(b))) == sums
    assert KEY.decrypt(PUBLIC.add_plain(PUBLIC.encrypt(a), b)) == sums


@given(columns)
def test_negation(a: list[int]) -> None:
    column = PUBLIC.encrypt(a)
    assert KEY.decrypt(PUBLIC.negate(column)) == [-x for x in a]
    assert KEY.decrypt(PUBLIC.add(column, PUBLIC.negate(column))) == [0] * len(a)


@given(columns, st.data())
def test_multiplication(a: list[int], data: st.DataObject) -> None:
    b = data.draw(st.lists(plaintexts, min_size=len(a), max_size=len(a)))
    assert KEY.decrypt(PUBLIC.multiply(PUBLIC.encrypt(a), b)) == [centred(x * y) for x, y in zip(a, b, strict=True)]


@given(columns, st.integers(0, 4), st.data())
def test_combinations(a: list[int], m: int, data: st.DataObject) -> None:
    entry = data.draw(
        st.sampled_from([st.integers(0, 1), st.integers(-3, 3), st.integers(-(2**40), 2**40), plaintexts])
    )
    entries = data.draw(st.lists(entry, min_size=m * len(a), max_size=m * len(a)))
    matrix = np.array(entries, dtype=object).reshape(m, len(a))
    column = PUBLIC.encrypt(a)
    expected = [centred(sum(x * y for x, y in zip(row, a, strict=True))) for row in matrix]
    assert KEY.decrypt(PUBLIC.combine(matrix, column)) == expected


def test_a_combination_of_many() -> None:
    """Digits of several bits, and integers as numpy has them."""
    rng = np.random.default_rng(1)
    a, matrix = rng.integers(-(2**30), 2**30, 600), rng.integers(-(2**20), 2**20, (2, 600))
    assert KEY.decrypt(PUBLIC.combine(matrix, PUBLIC.encrypt(a))) == (matrix @ a).tolist()


@given(columns, st.integers(0, 5), st.data())
def test_sums_of_groups(a: list[int], groups: int, data: st.DataObject) -> None:
    a = a if groups else []
    codes = data.draw(st.lists(st.integers(0, max(groups - 1, 0)), min_size=len(a), max_size=len(a)))
    expected = [centred(sum(x for x, code in zip(a, codes, strict=True) if code == g)) for g in range(groups)]
    assert KEY.decrypt(PUBLIC.group_sum(np.array(codes, dtype=np.int64), groups, PUBLIC.encrypt(a))) == expected


@given(st.integers(1, 60), st.integers(1, 4), st.data())
def test_squeezing(width: int, per: int, data: st.DataObject) -> None:
    top = 2 ** (width - 1)
    a = data.draw(st.lists(st.one_of(st.integers(-top, top - 1), st.sampled_from([-top, top - 1])), max_size=9))
    squeezed = KEY.decrypt(PUBLIC.squeeze(PUBLIC.encrypt(a), width, per))
    assert len(squeezed) == -(-len(a) // per)
    filled = a + [0] * (-len(a) % per)
    assert packing.split(squeezed, width, per).ravel().tolist() == filled


def test_squeezed_rows_of_a_packing() -> None:
    """What is packed can be squeezed again."""
    pack = packing.Packing(1000, 10, 3)
    values = np.random.default_rng(1).integers(-1000, 1001, (7, 3))
    per = (PUBLIC.bits - 2) // pack.bits
    assert per == 3
    plain = KEY.decrypt(PUBLIC.squeeze(PUBLIC.encrypt(pack.pack(values)), pack.bits, per))
    rows = packing.split(plain, pack.bits, per).ravel().tolist()
    counters, read = pack.unpack(rows)
    assert counters.tolist() == [1] * 7 + [0] * 2
    assert read[:7].tolist() == values.tolist()


@pytest.mark.parametrize("full", [False, True])
def test_rerandomising_changes_everything_but_what_is_held(full: bool) -> None:
    a = [0, 1, -1, HALF]
    for column in (PUBLIC.encrypt(a), PUBLIC.add_plain(PUBLIC.zeros(4), a)):
        fresh = PUBLIC.rerandomise(column, full=full)
        assert KEY.decrypt(fresh) == a
        assert not set(fresh.numbers()) & set(column.numbers())
        assert len(set(PUBLIC.rerandomise(PUBLIC.zeros(5), full=full).numbers())) == 5


def test_full_rerandomising_draws_from_all_nth_powers() -> None:
    """A half-length power of a square has Jacobi symbol 1; random units have -1 as often."""
    column = PUBLIC.rerandomise(PUBLIC.zeros(64), full=True)
    assert {gmpy2.jacobi(c, N) for c in column.numbers()} == {1, -1}
    half = PUBLIC.rerandomise(PUBLIC.zeros(64))
    assert {gmpy2.jacobi(c, N) for c in half.numbers()} == {1}


# --- decryption ---


@given(columns, st.integers(1, 256))
def test_a_width_is_enforced(a: list[int], width: int) -> None:
    limit = 2 ** (width - 1)
    column = PUBLIC.encrypt(a)
    wrong = [i for i, x in enumerate(a) if not -limit <= x < limit]
    if wrong:
        with pytest.raises(PeerError, match=f"plaintext {wrong[0]} does not fit {width} bits"):
            KEY.decrypt(column, width=width)
    else:
        assert KEY.decrypt(column, width=width) == a


def test_a_small_width_needs_one_prime(monkeypatch: pytest.MonkeyPatch) -> None:
    """And what fits modulo that prime alone is refused: such a plaintext is a multiple of the prime, nearly."""
    used: list[int] = []
    residues = paillier._residues
    monkeypatch.setattr(paillier, "_residues", lambda values, *half: used.append(half[0]) or residues(values, *half))
    assert KEY.decrypt(PUBLIC.encrypt([2**62, -(2**63)]), width=64, threads=1) == [2**62, -(2**63)]
    assert used == [KEY.primes()[0]]
    assert KEY.decrypt(PUBLIC.encrypt([2**62]), width=65, threads=1) == [2**62]
    assert used[1:] == list(KEY.primes())


def test_decryption_does_not_depend_on_threads_or_blinding() -> None:
    a = list(range(-50, 50))
    column = PUBLIC.encrypt(a)
    assert all(KEY.decrypt(column, threads=threads) == a for threads in (1, 2, 3, None))


# --- columns ---


def test_selecting_and_joining() -> None:
    a = list(range(6))
    column = PUBLIC.encrypt(a)
    assert KEY.decrypt(column[1:4]) == [1, 2, 3]
    assert KEY.decrypt(column[::-1]) == a[::-1]
    assert KEY.decrypt(column[np.array([5, 0, 0, -1])]) == [5, 0, 0, 5]
    assert KEY.decrypt(column[np.array([True, False] * 3)]) == [0, 2, 4]
    assert len(column[:0]) == 0
    assert KEY.decrypt(Ciphertexts.concatenate([column[:2], column[:0], column[4:]])) == [0, 1, 4, 5]


@pytest.mark.parametrize(
    "rows", [0, [0], (0,), "x", np.array([6]), np.zeros(3, bool), np.zeros((1, 1), int), np.ones(6)]
)
def test_other_selections_are_refused(rows: object) -> None:
    with pytest.raises(InputError, match="select"):
        PUBLIC.encrypt(range(6))[rows]  # type: ignore[index]


@given(columns)
def test_bytes_there_and_back(a: list[int]) -> None:
    column = PUBLIC.encrypt(a)
    rows = column.to_bytes()
    assert rows.shape == (len(a), PUBLIC.ciphertext_bytes) == (len(a), 64)
    again = Ciphertexts.from_bytes(rows, PUBLIC)
    assert again.numbers() == column.numbers() == [int.from_bytes(row.tobytes(), "big") for row in rows]


@pytest.mark.parametrize("bad", [0, N, 2 * N, int(KEY.primes()[0]), N * N, N * N + 1, 2**512 - 1, 5 * N * N // N * N])
def test_hostile_ciphertexts_are_refused(bad: int) -> None:
    numbers = PUBLIC.encrypt([1, 2, 3]).numbers()
    numbers[1] = bad
    with pytest.raises(PeerError, match="ciphertext 1 "):
        Ciphertexts.from_numbers(numbers, PUBLIC)
    if bad < 2**512:
        rows = np.frombuffer(b"".join(x.to_bytes(64, "big") for x in numbers), dtype=np.uint8).reshape(3, 64)
        with pytest.raises(PeerError, match="ciphertext 1 "):
            Ciphertexts.from_bytes(rows, PUBLIC)


def test_other_shapes_are_refused() -> None:
    for rows in (np.zeros((1, 63), np.uint8), np.zeros(64, np.uint8), np.zeros((1, 64)), b""):
        with pytest.raises(InputError, match="ciphertexts"):
            Ciphertexts.from_bytes(rows, PUBLIC)  # type: ignore[arg-type]
    with pytest.raises(PeerError, match="ciphertext 0 "):
        Ciphertexts.from_numbers([-1], PUBLIC)


def test_calls_that_do_not_fit_are_refused() -> None:
    two, three, other = PUBLIC.encrypt([1, 2]), PUBLIC.encrypt([1, 2, 3]), OTHER.public.encrypt([1, 2])
    codes = np.array([0, 1])
    for call in (
        lambda: PUBLIC.add(two, three),
        lambda: PUBLIC.add(two, other),
        lambda: PUBLIC.add(other, two),
        lambda: PUBLIC.add(two, [1, 2]),
        lambda: PUBLIC.add_plain(two, [1]),
        lambda: PUBLIC.multiply(two, [1]),
        lambda: PUBLIC.multiply(two, [1, 2.5]),
        lambda: PUBLIC.negate(other),
        lambda: PUBLIC.combine(np.zeros((2, 3), int), two),
        lambda: PUBLIC.combine(np.zeros((2, 2)), two),
        lambda: PUBLIC.combine(np.zeros(2, int), two),
        lambda: PUBLIC.group_sum(codes, 1, two),
        lambda: PUBLIC.group_sum(codes, 2, three),
        lambda: PUBLIC.group_sum(-codes, 2, two),
        lambda: PUBLIC.group_sum(codes * 1.0, 2, two),
        lambda: PUBLIC.squeeze(two, 0, 1),
        lambda: PUBLIC.squeeze(two, 1, 0),
        lambda: PUBLIC.squeeze(two, 85, 3),
        lambda: PUBLIC.rerandomise(other),
        lambda: PUBLIC.rerandomise(two, full=True, threads=0),
        lambda: KEY.decrypt(other),
        lambda: KEY.decrypt(two, width=0),
        lambda: KEY.decrypt(two, threads=0),
        lambda: Ciphertexts.concatenate([]),
        lambda: Ciphertexts.concatenate([two, other]),
    ):
        with pytest.raises(InputError):
            call()


# --- secrets ---


def test_nothing_secret_is_shown_or_pickled() -> None:
    column = PUBLIC.encrypt([123456789])
    p, q = KEY.primes()
    secrets = [p, q, (p - 1) * (q - 1), 123456789, column.numbers()[0]]
    for thing in (KEY, PUBLIC, column):
        shown = f"{thing!r} {thing!s} {thing}"
        assert not any(f"{secret}" in shown or f"{secret:x}" in shown.lower() for secret in secrets)
        for copier in (pickle.dumps, copy.copy, copy.deepcopy):
            with pytest.raises(InputError, match="not pickled"):
                copier(thing)
        assert not hasattr(thing, "__dict__")
    assert repr(KEY) == "PrivateKey(256 bits, <redacted>)"


def test_errors_about_private_keys_hold_no_prime() -> None:
    p, q = KEY.primes()
    for a, b in [(p, q + 2), (p, p)]:
        with pytest.raises(InputError) as caught:
            PrivateKey.insecure_from_primes(a, b)
        assert str(p) not in str(caught.value)
        assert caught.value.__cause__ is None


# --- the real size ---


def test_the_usual_size() -> None:
    private = paillier.generate(source=seeded("3072"))
    public = PublicKey.from_bytes(private.public.to_bytes())
    assert public.bits == 3072
    assert public.ciphertext_bytes == 768
    private = PrivateKey.from_bytes(private.to_bytes())
    k = packing.Packing.capacity(2**15, 1000, public.bits)
    pack = packing.Packing(2**15, 1000, k)
    values = np.random.default_rng(1).integers(-(2**15), 2**15 + 1, (6, k))
    column = Ciphertexts.from_bytes(public.encrypt(pack.pack(values)).to_bytes(), public)
    both = public.add(public.group_sum(np.array([0, 1, 0, 1, 1, 1]), 2, column), private.encrypt(pack.pack(values[:2])))
    counters, sums = pack.unpack(private.decrypt(public.rerandomise(both, full=True)))
    assert counters.tolist() == [3, 5]
    assert sums.tolist() == [(values[[0, 2, 0]].sum(axis=0)).tolist(), (values[[1, 3, 4, 5, 1]].sum(axis=0)).tolist()]
    assert [twin.decrypt(*private.primes(), c) for c in public.encrypt([-5]).numbers()] == [-5]
    assert private.decrypt(public.encrypt([2**766, -(2**767)]), width=768) == [2**766, -(2**767)]


def test_primes_are_drawn_afresh() -> None:
    """No candidate is found by stepping from a rejected one."""
    asked: list[int] = []
    source = seeded("afresh")

    def counting(n: int) -> bytes:
        asked.append(n)
        return source(n)

    p = _primes.blum_prime(64, counting)
    assert len(asked) > 1
    assert set(asked) == {8}
    source = seeded("afresh")
    last = [source(8) for _ in asked][-1]
    assert p == int.from_bytes(last, "little") | 3 << 62 | 3


def test_an_interrupt_does_not_wait_for_the_whole_column(monkeypatch: pytest.MonkeyPatch) -> None:
    """GMP takes a list at a time and answers to nobody meanwhile, so lists are short."""
    sizes: list[int] = []
    powers = gmpy2.powmod_base_list
    monkeypatch.setattr(
        gmpy2, "powmod_base_list", lambda bases, *rest: sizes.append(len(bases)) or powers(bases, *rest)
    )
    numbers = list(range(300))
    assert KEY.decrypt(PUBLIC.encrypt(numbers), threads=1) == numbers
    assert max(sizes) == 64
    assert sum(sizes) == 600


@pytest.mark.parametrize("name", ["decrypt", "squeeze", "multiply", "rerandomise"])
def test_exponentiations_leave_the_interpreter_to_others(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """gmpy2 lets other threads run in its functions for lists and in no other."""
    column = PUBLIC.encrypt(range(20))
    calls = {
        "decrypt": lambda: KEY.decrypt(column),
        "squeeze": lambda: PUBLIC.squeeze(column, 8, 5),
        "multiply": lambda: PUBLIC.multiply(column, range(20)),
        "rerandomise": lambda: PUBLIC.rerandomise(column, full=True),
    }
    monkeypatch.setattr(gmpy2, "powmod", None)
    calls[name]()


def test_a_modulus_made_to_break_the_base_is_refused() -> None:
    """Searched for: 65537 divides it and the hash that the base comes from. Trial division does not go that far."""
    public = PublicKey.insecure_from_modulus(223605706990419703650251734119537155171)
    with pytest.raises(PeerError, match="shares a factor with a hash"):
        public.encrypt([1])


def test_full_rerandomising_draws_units_only() -> None:
    """A hostile modulus has multiples of 65537 to draw; here the source begins with one."""
    public = PublicKey.insecure_from_modulus(65537 * int(gmpy2.next_prime(1 << 120)))
    drawn = iter([65537, 2, 3])
    fresh = public.rerandomise(public.zeros(2), full=True, source=lambda n: next(drawn).to_bytes(n, "little"))
    assert fresh.numbers() == [pow(x, int(public.n), int(public.n) ** 2) for x in (2, 3)]
    with pytest.raises(StopIteration):
        next(drawn)


def test_pairs_of_primes_that_are_too_alike_are_drawn_again(monkeypatch: pytest.MonkeyPatch) -> None:
    """Close to each other, or with a factor besides 2 common to p - 1 and q - 1."""
    low, high = 3 << 62, (1 << 64) - 1
    good = (low + 3, high - 4)
    assert math.gcd(low + 2, high - 5) == 2
    close, common = (low + 3, low + 5), (1 + 6 * (low // 6 + 1), 1 + 6 * (high // 6))
    drawn = iter([*close, *common, *good])
    monkeypatch.setattr(_primes, "blum_prime", lambda bits, source: next(drawn))
    assert _primes.prime_pair(128, os.urandom) == good
