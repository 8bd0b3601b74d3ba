"""A few hundred correlations c = a d + b over GF(2^128), straight from 128 base transfers.

Functionality: the sender has one secret element d; for a vector a of the receiver, the sender gets b and the
receiver c, uniform but for c = a d + b.

Parties
    A sender (`Sender`) and a receiver (`Receiver`), who open once and extend often.
Inputs
    The receiver's vector a of t elements, anew in each extension.
Outputs
    b (and once d); c.
Protocol
    d is cut into 32 digits of four bits. Opening: for each digit the receiver of the correlations grows a tree of
    16 seeds and the sender, by four base transfers, gets all of them but the one at the place that its digit names.
    Extending: both expand seed x of digit i to a vector g_ix. With u_i the sum of all g_ix, the receiver sends u_i
    + a, and has v_i, the sum of the x g_ix; the sender can compute v_i + d_i u_i, in which the vector that it lacks
    has the coefficient x + d_i = 0. Adding d_i (u_i + a) leaves v_i + d_i a; weighed by the digits' places and
    added up, v + d a.
Leakage
    None: t is known to both.
Threat model
    Semi-honest. u_i hides a because it contains a seed's vector that the sender does not know. A dishonest receiver
    may use different vectors for different digits, which the consistency check of the paper would catch.
Rounds and bytes
    Opening: the base transfers, and one flight of 4 KB from the receiver. Extending: one flight of 512 t bytes from
    the receiver.
Reference
    Roy: SoftSpokenOT (Crypto 2022), for small-field correlations from trees; Gilboa: Two party RSA key generation
    (Crypto 1999), which digits of one bit would be, at four times the bytes.
"""

from __future__ import annotations

import functools

import numpy as np

from fusion.correlations import trees
from fusion.correlations._wire import WIDTH, Rows
from fusion.correlations.ot_extension import stream
from fusion.kernels import block, ggm

__all__ = ["OPENING_ROWS", "TRANSFERS", "TREES", "Receiver", "Sender", "message_rows"]

TRANSFERS = 128
_DIGIT = 4
_DIGITS = TRANSFERS // _DIGIT
TREES = _DIGITS
"""Roots that the receiver of an opening draws."""
_SEEDS = 1 << _DIGIT
OPENING_ROWS = 2 * TRANSFERS
"""Rows of 16 bytes in the receiver's message of the opening."""
_DOMAIN = b"fusion/correlations/base-vole/1/"


class Sender:
    """The side that holds d.

    Parameters
    ----------
    label : bytes
        Of the opening, as the receiver's.
    bits : (128,) uint8
        Its secret random choices in the base transfers.
    keys : (128, 32) uint8
        The keys it got.
    message : (256, 16) uint8
        The receiver's.

    Attributes
    ----------
    delta : bytes
        d, 16 bytes. Secret.
    """

    def __init__(self, label: bytes, bits: Rows, keys: Rows, message: Rows) -> None:
        self._bits = 1 - bits  # a transfer brings the side that the digit's path does not take
        self.delta = np.packbits(self._bits, bitorder="little").tobytes()
        digits = np.packbits(self._bits.reshape(_DIGITS, _DIGIT), axis=1, bitorder="little")[:, 0]
        hints = trees.reveal(message, bits, keys[:, :WIDTH], _DIGITS)
        level_keys = trees.level_keys(_DOMAIN + label, _DIGITS, _DIGIT)
        self._seeds = np.empty((_DIGITS, _SEEDS, WIDTH), np.uint8)
        ggm.puncture(self._seeds, hints, digits.astype(np.uint64), level_keys, threads=1)

    def __repr__(self) -> str:
        return "<base_vole.Sender>"

    def extend(self, label: bytes, t: int, message: Rows) -> Rows:
        """b, (t, 16), from the receiver's message for this label."""
        u, v = _sums(self._seeds, label, t)
        u ^= message.reshape(_DIGITS, t, WIDTH)
        v ^= np.repeat(u, _DIGIT, axis=0) & -self._bits[:, None, None]
        return _weigh(v)


class Receiver:
    """The side that chooses a.

    Parameters
    ----------
    label : bytes
        Different for each opening.
    pairs : (128, 2, 32) uint8
        Both keys of each base transfer.
    roots : (32, 16) uint8
        Random.

    Attributes
    ----------
    message : (256, 16) uint8
        To be sent once.
    """

    def __init__(self, label: bytes, pairs: Rows, roots: Rows) -> None:
        level_keys = trees.level_keys(_DOMAIN + label, _DIGITS, _DIGIT)
        self._seeds, sums = ggm.expand(roots, level_keys, _SEEDS, threads=1)
        self.message = trees.hide(sums, pairs[:, :, :WIDTH]).reshape(-1, WIDTH)

    def __repr__(self) -> str:
        return "<base_vole.Receiver>"

    def extend(self, label: bytes, a: Rows) -> tuple[Rows, Rows]:
        """The message to send, (32 t, 16), and c, (t, 16), for a label never used before and a, (t, 16)."""
        u, v = _sums(self._seeds, label, len(a))
        return (u ^ a).reshape(-1, WIDTH), _weigh(v)


def message_rows(t: int) -> int:
    """Rows of 16 bytes in the receiver's message of an extension by t."""
    return _DIGITS * t


def _sums(seeds: Rows, label: bytes, t: int) -> tuple[Rows, Rows]:
    """For each digit the sum of all vectors, (32, t, 16); for each bit that of the vectors at places that have it."""
    vectors = np.frombuffer(
        b"".join(stream(seed.tobytes(), _DOMAIN + label, WIDTH * t) for seed in seeds.reshape(-1, WIDTH)), np.uint8
    ).reshape(_DIGITS, _SEEDS, t, WIDTH)
    places = np.arange(_SEEDS)
    by_bit = [np.bitwise_xor.reduce(vectors[:, places >> d & 1 == 1], axis=1) for d in range(_DIGIT)]
    return np.bitwise_xor.reduce(vectors, axis=1), np.stack(by_bit, axis=1).reshape(TRANSFERS, t, WIDTH)


def _weigh(rows: Rows) -> Rows:
    """The sum of x^i times rows[i], over (128, t, 16)."""
    t = rows.shape[1]
    products = block.multiply(rows.reshape(-1, WIDTH), np.repeat(_powers(), t, axis=0))
    weighed: Rows = np.bitwise_xor.reduce(products.reshape(TRANSFERS, t, WIDTH), axis=0)
    return weighed


@functools.cache
def _powers() -> Rows:
    return np.packbits(np.eye(TRANSFERS, dtype=np.uint8), axis=1, bitorder="little")
