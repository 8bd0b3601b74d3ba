"""What a masked sum is, before anything is drawn: who, how many of them are needed, and how long a word is."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

import msgspec

from fusion.aggregation.masked.messages import encode
from fusion.errors import InputError

__all__ = ["MAX_CLIENTS", "MAX_ROUNDS", "Parameters"]

MAX_CLIENTS = 1024
MAX_ROUNDS = 1024


class Parameters(msgspec.Struct, frozen=True, kw_only=True):
    """Equal for all clients and the server; every key and signature is bound to them.

    Attributes
    ----------
    clients : tuple of str
        Everybody whose values may be in the sum, in order. A client's place in it, from 1, is its point of a share.
    threshold : int
        How many clients a sum needs, at every step.
    colluding : int
        How many of the clients may work with the server and still see no more than the sum.
    size : int
        Values in a vector.
    limit : int
        The largest magnitude of a value, as a whole number.
    rounds : int
        How many sums the keys of one run serve.
    about : bytes
        What else all agree on, in a hash of theirs: keys for one thing do not serve another.
    """

    clients: tuple[str, ...]
    threshold: int
    colluding: int
    size: int
    limit: int
    rounds: int = 1
    about: bytes = b""

    def __post_init__(self) -> None:
        # however they came about, by `choose` or out of a message: what does not protect is not made
        n, c = len(self.clients), self.colluding
        if len(set(self.clients)) != n:
            raise InputError("a client is named twice; every client has a name of its own")
        if list(self.clients) != sorted(self.clients):
            raise InputError("the clients of a sum are listed in the order of their names")
        if not 2 <= n <= MAX_CLIENTS:
            raise InputError(f"a secure sum has 2 to {MAX_CLIENTS} clients, not {n}")
        if not 0 <= c <= n - 2:
            raise InputError(f"colluding={c} does not fit {n} clients; at least two must be honest")
        least = _least(n, c)
        if not least <= self.threshold <= n:
            raise InputError(
                f"threshold={self.threshold} does not protect {n} clients of whom {c} collude with the server; "
                f"take {least if least == n else f'{least} to {n}'}, or state fewer with colluding="
            )
        if self.size < 0 or not 1 <= self.rounds <= MAX_ROUNDS:
            raise InputError(f"a secure sum has 0 values or more, and 1 to {MAX_ROUNDS} rounds")
        if self.limit < 0 or n * self.limit >= 1 << 63:
            raise InputError(
                f"the sum of {n} values of such a bound does not fit 64 bits; give a smaller bound or fewer decimals"
            )

    @classmethod
    def choose(
        cls,
        clients: Sequence[str],
        *,
        size: int,
        limit: int,
        threshold: int | None = None,
        colluding: int | None = None,
        rounds: int = 1,
        about: bytes = b"",
        allow_two: bool = False,
    ) -> Parameters:
        """Parameters that hold what they promise, or `InputError`.

        ``colluding`` is just below a third of the clients unless given, at least one; ``threshold`` is the smallest t
        with 2 t > n + colluding and t >= colluding + 2.
        """
        for name, value in (("threshold", threshold), ("colluding", colluding)):
            if value is not None and (isinstance(value, bool) or not isinstance(value, int)):
                raise InputError(f"{name} is a number of parties; give a whole number, or leave it out")
        names = tuple(sorted(clients))
        n = len(names)
        if n == 2 and not allow_two:
            raise InputError(
                "a sum over two parties tells each the other's value; add a third, or pass allow_two=True to say so"
            )
        if colluding is None:
            colluding = max(1, -(-n // 3) - 1) if n > 2 else 0
        if threshold is None:
            threshold = max(_least(n, colluding), 2 if allow_two else 3)
        chosen = cls(
            clients=names,
            threshold=threshold,
            colluding=colluding,
            size=size,
            limit=limit,
            rounds=rounds,
            about=about,
        )
        if threshold < 3 and not allow_two:
            raise InputError(
                "with a threshold of 2 a sum may cover two parties and tell each the other's value; "
                "take 3 or more, or pass allow_two=True to say so"
            )
        return chosen

    @property
    def word(self) -> int:
        """Bytes in a word: 4 when every sum fits 32 bits with its sign, else 8."""
        return 4 if len(self.clients) * self.limit < 1 << 31 else 8

    @property
    def digest(self) -> bytes:
        """32 bytes that stand for all of it."""
        return hashlib.sha256(b"fusion/sum/parameters/2" + encode(self)).digest()


def _least(n: int, colluding: int) -> int:
    """The smallest threshold t with 2 t > n + colluding and t >= colluding + 2; at most n, for n - 2 colluding."""
    return max((n + colluding) // 2 + 1, colluding + 2)
