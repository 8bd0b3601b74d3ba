"""What clients and server say to each other, in the encoding of `fusion.aggregation.masked.messages`.

Clients are numbered by their place, from 0, in `Parameters.clients`. A signature is over everything else in its
message.
"""

from __future__ import annotations

from fusion.aggregation.masked.messages import Hash, Message, Number, Signature

__all__ = [
    "Challenge",
    "Claim",
    "Coin",
    "Commitment",
    "Commitments",
    "Contribution",
    "Contributions",
    "Evidence",
    "Part",
    "Projection",
    "Update",
]


class Commitment(Message, frozen=True):
    """The hash of a client's contribution to the key: nobody chooses his after seeing another's."""

    parameters: Hash
    client: Number
    hash: Hash
    signature: Signature


class Commitments(Message, frozen=True):
    """The `Commitment` of every client, in order, as they were sent."""

    entries: tuple[bytes, ...]


class Contribution(Message, frozen=True):
    """What a client committed to, for the list of commitments that it was shown.

    ``box`` is an X25519 key, from which the masks of its parts are agreed with every other client.
    """

    commitments: Hash
    client: Number
    element: bytes
    box: Hash
    signature: Signature


class Contributions(Message, frozen=True):
    """The `Contribution` of every client, in order, as they were sent."""

    entries: tuple[bytes, ...]


class Update(Message, frozen=True):
    """The second halves of a client's ciphertexts, as residues. The first are of no use before the opening."""

    run: Hash
    round: Number
    second: bytes


class Claim(Message, frozen=True):
    """Whose updates the server has added, and the hash of the sum's second halves."""

    run: Hash
    round: Number
    included: tuple[Number, ...]
    total: Hash


class Coin(Message, frozen=True):
    """32 random bytes of a client, drawn after it saw the claim."""

    claim: Hash
    client: Number
    coin: Hash
    signature: Signature


class Challenge(Message, frozen=True):
    """The `Coin` of every client, in order, as they were sent."""

    run: Hash
    round: Number
    coins: tuple[bytes, ...]


class Projection(Message, frozen=True):
    """The combination of a client's own second halves that the challenge asks for: little-endian words."""

    challenge: Hash
    client: Number
    values: bytes
    signature: Signature


class Evidence(Message, frozen=True):
    """Why a sum may be opened: everybody's coins, the projections of those included, the sum's second halves."""

    run: Hash
    round: Number
    coins: tuple[bytes, ...]
    projections: tuple[bytes, ...]
    total: bytes


class Part(Message, frozen=True):
    """A client's part of the decryption of a sum, plus the first halves of its ciphertexts if it is in it: words, under
    masks that cancel in the sum over all clients.
    """

    run: Hash
    round: Number
    words: bytes
