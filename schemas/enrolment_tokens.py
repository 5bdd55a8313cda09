"""Enrolment tokens as an administrator hands them out: ``vwe1-<id>-<secret>``, sent as ``X-Enrolment-Token``.

The registry keeps the SHA-256 of the secret, so nobody who reads the server's data can enrol with it.
"""

from __future__ import annotations

import hashlib
import re
import secrets
from typing import NamedTuple

from schemas.errors import BadEnrolmentToken

_FORM = re.compile(r"vwe1-([0-9a-f]{12})-([0-9a-f]{48})")


class EnrolmentToken(NamedTuple):
    """``token_id`` names it in records and logs; ``secret`` (192 bits, hexadecimal) stands nowhere but in the token."""

    token_id: str
    secret: str

    @property
    def text(self) -> str:
        return f"vwe1-{self.token_id}-{self.secret}"

    @property
    def secret_hash(self) -> bytes:
        return hashlib.sha256(self.secret.encode()).digest()


def make() -> EnrolmentToken:
    """A new token."""
    return EnrolmentToken(secrets.token_hex(6), secrets.token_hex(24))


def read(text: str) -> EnrolmentToken:
    """Read a token's text. Raises BadEnrolmentToken."""
    match = _FORM.fullmatch(text)
    if match is None:
        raise BadEnrolmentToken("not an enrolment token")
    return EnrolmentToken(match.group(1), match.group(2))
