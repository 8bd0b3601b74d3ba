"""Ristretto255 over Python integers, written from RFC 9496: the definition the kernel is compared with.

Slow and not constant time; for tests only.
"""

from __future__ import annotations

from typing import NamedTuple

P = 2**255 - 19
ORDER = 2**252 + 27742317777372353535851937790883648493
D = -121665 * pow(121666, -1, P) % P
SQRT_M1 = pow(2, (P - 1) // 4, P)


class Point(NamedTuple):
    """Affine coordinates on -x^2 + y^2 = 1 + d x^2 y^2."""

    x: int
    y: int


IDENTITY = Point(0, 1)


def is_negative(e: int) -> bool:
    return e % P % 2 == 1


def absolute(e: int) -> int:
    return -e % P if is_negative(e) else e % P


def sqrt_ratio_m1(u: int, v: int) -> tuple[bool, int]:
    """RFC 9496, 4.2."""
    r = u * pow(v, 3, P) * pow(u * pow(v, 7, P), (P - 5) // 8, P) % P
    check = v * r * r % P
    correct = check == u % P
    flipped = check == -u % P
    flipped_i = check == -u * SQRT_M1 % P
    if flipped or flipped_i:
        r = r * SQRT_M1 % P
    return correct or flipped, absolute(r)


_, INVSQRT_A_MINUS_D = sqrt_ratio_m1(1, -1 - D)
# RFC 9496, 4.1 lists this root, the odd one of the two; the map's sign depends on it.
SQRT_AD_MINUS_ONE = 25063068953384623474111414158702152701244531502492656460079210482610430750235
assert pow(SQRT_AD_MINUS_ONE, 2, P) == (-D - 1) % P


def decode(data: bytes) -> Point | None:
    """RFC 9496, 4.3.1; None for an invalid encoding."""
    s = int.from_bytes(data, "little")
    if len(data) != 32 or s >= P or is_negative(s):
        return None
    u1, u2 = (1 - s * s) % P, (1 + s * s) % P
    v = (-D * u1 * u1 - u2 * u2) % P
    was_square, invsqrt = sqrt_ratio_m1(1, v * u2 * u2)
    x = absolute(2 * s * invsqrt * u2)
    y = u1 * invsqrt * invsqrt * u2 * v % P
    if not was_square or is_negative(x * y) or y == 0:
        return None
    return Point(x, y)


def encode(point: Point) -> bytes:
    """RFC 9496, 4.3.2, with z = 1."""
    x, y = point
    t = x * y % P
    u1 = (1 + y) * (1 - y) % P
    _, invsqrt = sqrt_ratio_m1(1, u1 * t * t)
    den1, den2 = invsqrt * u1 % P, invsqrt * t % P
    z_inv = den1 * den2 * t % P
    if is_negative(t * z_inv):
        x, y, den_inv = y * SQRT_M1 % P, x * SQRT_M1 % P, den1 * INVSQRT_A_MINUS_D % P
    else:
        den_inv = den2
    if is_negative(x * z_inv):
        y = -y % P
    return absolute(den_inv * (1 - y)).to_bytes(32, "little")


def add(p: Point, q: Point) -> Point:
    """The complete addition law of the curve, affine."""
    k = D * p.x * q.x * p.y * q.y % P
    x = (p.x * q.y + p.y * q.x) * pow(1 + k, -1, P) % P
    y = (p.y * q.y + p.x * q.x) * pow(1 - k, -1, P) % P
    return Point(x, y)


def multiply(point: Point, scalar: int) -> Point:
    result = IDENTITY
    for bit in bin(scalar)[2:]:
        result = add(result, result)
        if bit == "1":
            result = add(result, point)
    return result


def element_map(t: int) -> Point:
    """MAP of RFC 9496, 4.3.4: one field element to a point."""
    r = SQRT_M1 * t * t % P
    u = (r + 1) * (1 - D * D) % P
    v = (-1 - r * D) * (r + D) % P
    was_square, s = sqrt_ratio_m1(u, v)
    if not was_square:
        s = -absolute(s * t) % P
    c = -1 if was_square else r
    n = (c * (r - 1) * (D - 1) ** 2 - v) % P
    w0, w1 = 2 * s * v % P, n * SQRT_AD_MINUS_ONE % P
    w2, w3 = (1 - s * s) % P, (1 + s * s) % P
    z_inv = pow(w1 * w3, -1, P)
    return Point(w0 * w3 * z_inv % P, w2 * w1 * z_inv % P)


def from_uniform(data: bytes) -> Point:
    """RFC 9496, 4.3.4: 64 uniform bytes to an element."""
    low, high = (int.from_bytes(half, "little") % 2**255 % P for half in (data[:32], data[32:]))
    return add(element_map(low), element_map(high))


# The canonical generator (RFC 9496, section 4): the base point of RFC 7748, y = 4/5 and x even.
_y = 4 * pow(5, -1, P) % P
_, _x = sqrt_ratio_m1(_y * _y - 1, D * _y * _y + 1)
GENERATOR = Point(_x, _y)
