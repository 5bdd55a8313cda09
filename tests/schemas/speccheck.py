"""The twelve cases of "Taming the many EdDSAs" (Chalkias, Garillot, Nikolaenko: SSR 2020, IACR ePrint 2020/1244).

Made here from their definitions: each case is a signature whose parts are of the orders and ranges that the paper names,
with a message found by trial so that the equations come out as the paper says.
"""

from __future__ import annotations

import hashlib
import itertools
from collections.abc import Callable
from typing import NamedTuple

from tests.schemas.edwards25519 import BASE, L, Point, add, challenge, encode, multiply, torsion

# The point (0, -1) of order two; x is zero, so its sign bit must be, and is not.
NON_CANONICAL = bytes.fromhex("ec" + "ff" * 31)
_ORDER_TWO = 4  # the multiple that ``torsion`` knows this point by


class Case(NamedTuple):
    """A case, and what the paper's tables say of it.

    ``cofactored`` and ``cofactorless``: whether the equations hold; ``reduced``: for the hash over canonical encodings.
    ``openssl`` and ``libsodium``: whether these accept it.
    """

    number: int
    what: str
    message: bytes
    key: bytes
    signature: bytes
    cofactorless: bool
    openssl: bool
    libsodium: bool
    reduced: bool = False


def cases() -> list[Case]:
    """The twelve cases, in the paper's order. Always the same ones."""
    return [
        _case(0, "S = 0, small A and R", _small(1), _small(1), lambda h: (1 + h) % 8 == 0, openssl=True),
        _case(1, "small A, mixed R", _small(1), _mixed("r"), lambda h: (1 + h) % 8 == 0, openssl=True),
        _case(2, "mixed A, small R", _mixed("a"), _small(1), lambda h: (1 + h) % 8 == 0, openssl=True),
        _case(3, "mixed A and R", _mixed("a"), _mixed("r"), lambda h: (1 + h) % 8 == 0, openssl=True, libsodium=True),
        _case(4, "mixed A and R, cofactored only", _mixed("a"), _mixed("r"), lambda h: (1 + h) % 8 != 0),
        _case(5, "mixed A, R of order L", _mixed("a"), _prime("r"), lambda h: h % 8 != 0 and 8 * h % L % 8 != 0),
        _case(6, "S > L", _prime("a"), _prime("r"), lambda _: True, stretch=lambda s: s + L),
        _case(7, "S >> L", _prime("a"), _prime("r"), lambda _: True, stretch=lambda s: s + (2**256 - s - 1) // L * L),
        _case(8, "non-canonical R, reduced", _mixed("a"), _odd(), lambda h: (4 + h) % 8 == 0, reduced=True),
        _case(9, "non-canonical R", _mixed("a"), _odd(), lambda h: (4 + h) % 8 == 0),
        _case(10, "non-canonical A, reduced", _odd(), _mixed("r", _ORDER_TWO), lambda h: h % 2 == 1, reduced=True),
        _case(11, "non-canonical A", _odd(), _mixed("r", _ORDER_TWO), lambda h: h % 2 == 1, openssl=True),
    ]


class _Part(NamedTuple):
    """A key or an ``R``: ``scalar · BASE`` and a point of small order, as it is sent."""

    scalar: int
    encoding: bytes
    canonical: bytes


def _part(scalar: int, small: Point) -> _Part:
    encoding = encode(add(multiply(scalar, BASE), small))
    return _Part(scalar, encoding, encoding)


def _small(multiple: int) -> _Part:
    return _part(0, torsion(multiple))


def _prime(label: str) -> _Part:
    return _part(_scalar(label), torsion(0))


def _mixed(label: str, multiple: int = 1) -> _Part:
    return _part(_scalar(label), torsion(multiple))


def _odd() -> _Part:
    return _Part(0, NON_CANONICAL, encode(torsion(_ORDER_TWO)))


def _scalar(label: str) -> int:
    return int.from_bytes(hashlib.sha512(label.encode()).digest(), "little") % L


def _case(  # noqa: PLR0913 - a row of the table
    number: int,
    what: str,
    key: _Part,
    r: _Part,
    wanted: Callable[[int], bool],
    *,
    stretch: Callable[[int], int] = lambda s: s,
    reduced: bool = False,
    openssl: bool = False,
    libsodium: bool = False,
) -> Case:
    for attempt in itertools.count():
        message = hashlib.sha256(f"{what} {attempt}".encode()).digest()
        h, other = challenge(r.encoding, key.encoding, message), challenge(r.canonical, key.canonical, message)
        h, other = (other, h) if reduced else (h, other)
        s = stretch((r.scalar + h * key.scalar) % L)
        # With a non-canonical key the equation must hold for one of the two hashes alone.
        if other != h and wanted(other):
            continue
        # Case 6 must not be told by its top three bits, which some verifiers look at before the range.
        if wanted(h) and (number != 6 or s < 2**253):
            break
    signature = r.encoding + s.to_bytes(32, "little")
    return Case(number, what, message, key.encoding, signature, number not in (4, 5), openssl, libsodium, reduced)
