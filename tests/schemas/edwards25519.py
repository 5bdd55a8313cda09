"""Edwards25519 in plain integers (RFC 8032 §5.1), to make keys and signatures that no honest signer makes.

Slow and not constant in time: for test vectors alone.
"""

from __future__ import annotations

import functools
import hashlib

P = 2**255 - 19
L = 2**252 + 27742317777372353535851937790883648493
D = -121665 * pow(121666, -1, P) % P
SQRT_MINUS_ONE = pow(2, (P - 1) // 4, P)

Point = tuple[int, int, int, int]
"""Extended homogeneous coordinates X, Y, Z, T with x = X/Z, y = Y/Z, x·y = T/Z."""

NEUTRAL: Point = (0, 1, 1, 0)


def add(p: Point, q: Point) -> Point:
    """The sum, by the complete addition law (Hisil, Wong, Carter, Dawson 2008)."""
    a, b = (p[1] - p[0]) * (q[1] - q[0]) % P, (p[1] + p[0]) * (q[1] + q[0]) % P
    c, d = 2 * D * p[3] * q[3] % P, 2 * p[2] * q[2] % P
    e, f, g, h = b - a, d - c, d + c, b + a
    return e * f % P, g * h % P, f * g % P, e * h % P


def multiply(scalar: int, point: Point) -> Point:
    """``scalar`` (not negative) times the point."""
    result = NEUTRAL
    for bit in f"{scalar:b}":
        result = add(result, result)
        result = add(result, point) if bit == "1" else result
    return result


def equal(p: Point, q: Point) -> bool:
    return (p[0] * q[2] - q[0] * p[2]) % P == 0 and (p[1] * q[2] - q[1] * p[2]) % P == 0


def encode(point: Point) -> bytes:
    """The canonical 32 bytes."""
    inverse = pow(point[2], -1, P)
    x, y = point[0] * inverse % P, point[1] * inverse % P
    return (y | (x & 1) << 255).to_bytes(32, "little")


def decode(encoding: bytes) -> Point:
    """The point of an encoding, canonical or not. Raises ValueError where there is none on the curve."""
    number = int.from_bytes(encoding, "little")
    y, sign = (number & (1 << 255) - 1) % P, number >> 255
    x_squared = (y * y - 1) * pow(D * y * y + 1, -1, P) % P
    x = pow(x_squared, (P + 3) // 8, P)
    x = x if x * x % P == x_squared else x * SQRT_MINUS_ONE % P
    if x * x % P != x_squared:
        raise ValueError("not on the curve")
    x = x if x & 1 == sign else (P - x) % P
    return x, y, 1, x * y % P


def challenge(r: bytes, key: bytes, message: bytes) -> int:
    """The hash of a signature's ``R``, the key and the message, reduced."""
    return int.from_bytes(hashlib.sha512(r + key + message).digest(), "little") % L


def holds(message: bytes, key: bytes, signature: bytes, *, cofactor: int, reduced: bool = False) -> bool:
    """Whether the equation ``cofactor · (S·B) = cofactor · (R + h·A)`` holds. No encoding and no range is checked.

    Args:
        cofactor: 1 (as libsodium) or 8 (RFC 8032).
        reduced: hash the canonical encodings of the points in place of the bytes that came.
    """
    r, a = decode(signature[:32]), decode(key)
    h = challenge(encode(r), encode(a), message) if reduced else challenge(signature[:32], key, message)
    left = multiply(cofactor * int.from_bytes(signature[32:], "little"), BASE)
    return equal(left, multiply(cofactor, add(r, multiply(h, a))))


@functools.cache
def torsion(multiple: int) -> Point:
    """One of the eight points of small order, as a multiple of a fixed one of order eight."""
    candidates = (multiply(L, point) for point in _points())
    generator = next(point for point in candidates if not equal(multiply(4, point), NEUTRAL))
    return multiply(multiple % 8, generator)


def _points() -> list[Point]:
    found = []
    for y in range(2, 40):
        try:
            found.append(decode(y.to_bytes(32, "little")))
        except ValueError:
            continue
    return found


BASE = decode((4 * pow(5, -1, P) % P).to_bytes(32, "little"))
