"""What an encrypted sum is, before anything is drawn: who, how many of them at least, and how many values."""

from __future__ import annotations

import functools
import hashlib
from collections.abc import Sequence

import msgspec

from fusion.aggregation.joint.fields import FIELD_BITS, rows_of
from fusion.aggregation.masked.messages import Hash, encode
from fusion.crypto import rlwe
from fusion.crypto.rlwe.plan import total_parameters
from fusion.errors import InputError

__all__ = ["MAX_CLIENTS", "MAX_ROUNDS", "Parameters"]

MAX_CLIENTS = 1024
MAX_ROUNDS = 1024


class Parameters(msgspec.Struct, frozen=True, kw_only=True):
    """Equal for all clients and the server; every key and signature is bound to them.

    Attributes
    ----------
    clients : tuple of str
        Everybody who has a share of the key, in order of names.
    threshold : int
        A sum of fewer updates is not opened.
    colluding : int
        How many of the clients may work with the server; every sum holds updates of two others.
    size : int
        Values in a vector.
    rounds : int
        How many sums the key serves.
    run : bytes
        32 that name the run, new for each.
    """

    clients: tuple[str, ...]
    threshold: int
    colluding: int
    size: int
    rounds: int
    run: Hash

    def __post_init__(self) -> None:
        # however they came about, by `choose` or out of a message: what does not protect is not made
        n = len(self.clients)
        if not 2 <= n <= MAX_CLIENTS or len(set(self.clients)) != n or list(self.clients) != sorted(self.clients):
            raise InputError(f"an encrypted sum has 2 to {MAX_CLIENTS} clients of different names, in their order")
        if not 0 <= self.colluding <= n - 2:
            raise InputError(f"colluding={self.colluding} does not fit {n} clients; at least two must be honest")
        if not self.colluding + 2 <= self.threshold <= n:
            raise InputError(
                f"threshold={self.threshold} does not protect {n} clients of whom {self.colluding} collude with the "
                f"server; take {self.colluding + 2} to {n}"
            )
        if not 1 <= self.size < 1 << 40 or not 1 <= self.rounds <= MAX_ROUNDS or len(self.run) != 32:
            raise InputError(f"an encrypted sum has a value or more, 1 to {MAX_ROUNDS} rounds, and a name of 32 bytes")
        _ = self.lattice

    @classmethod
    def choose(
        cls,
        clients: Sequence[str],
        *,
        size: int,
        run: bytes,
        threshold: int | None = None,
        colluding: int | None = None,
        rounds: int = 1,
        allow_two: bool = False,
    ) -> Parameters:
        """Parameters that hold what they promise, or `InputError`.

        ``colluding`` is just below a third of the clients unless given, at least one, and ``threshold`` more than half.
        """
        names = tuple(sorted(clients))
        n = len(names)
        if colluding is None:
            colluding = max(1, -(-n // 3) - 1) if n > 2 else 0
        if threshold is None:
            threshold = max(n // 2 + 1, colluding + 2, 2 if allow_two else 3)
        if threshold < 3 and not allow_two:
            raise InputError(
                "a sum over two parties tells each the other's value; take threshold=3 or more, or pass allow_two=True"
            )
        return cls(clients=names, threshold=threshold, colluding=colluding, size=size, rounds=rounds, run=run)

    @property
    def lattice(self) -> rlwe.Parameters:
        """Those of the encryption."""
        return _lattice(len(self.clients), self.size, self.rounds)

    @property
    def rows(self) -> int:
        """Ciphertexts in an update."""
        return rows_of(self.size, self.lattice.degree)

    @property
    def limit(self) -> int:
        """The largest magnitude of a value, as a whole number: the sum of all stays in its field."""
        return ((1 << FIELD_BITS - 1) - 1) // len(self.clients)

    @property
    def digest(self) -> bytes:
        """32 bytes that stand for all of it."""
        return hashlib.sha256(b"fusion/joint/parameters/1" + self.lattice.id + encode(self)).digest()


@functools.lru_cache(maxsize=64)
def _lattice(clients: int, size: int, rounds: int) -> rlwe.Parameters:
    # every degree is at least 4096: no fewer rows than these, whatever the degree
    return total_parameters(2 * FIELD_BITS, parties=clients, openings=rounds * rows_of(size, 4096))
