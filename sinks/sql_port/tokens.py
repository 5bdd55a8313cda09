"""Tokens of the SQL port: a file of names, roles and hashes. A token itself is shown once, when it is made.

A token is 256 random bits, so that a plain SHA-256 of it cannot be searched.
"""

from __future__ import annotations

import hashlib
import json
import re
import secrets
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from sinks.errors import KeyFileUnusable
from sinks.sql_port.roles import ROLES

PREFIX = "vsql_"
FIRST = "default"
"""The name of the installation's first token, which is an analyst's and stands in a file of its own."""
_NAME = re.compile(r"\A[A-Za-z0-9][A-Za-z0-9._-]{0,63}\Z")


@dataclass(frozen=True, slots=True)
class Token:
    """What is kept of a token. ``created_at`` is in milliseconds."""

    name: str
    role: str
    sha256: str
    created_at: int


@dataclass(frozen=True, slots=True)
class Bearer:
    """Who asks: a token's name, and its role's."""

    name: str
    role: str


def new_token(name: str, role: str, now_ms: int) -> tuple[str, Token]:
    """A new token, and what to keep of it. Raises ValueError for a name or a role that is none."""
    if not _NAME.match(name) or name == FIRST:
        raise ValueError("a name has letters, digits and . _ - inside, up to 64, and is not 'default'")
    if role not in ROLES:
        raise ValueError(f"a role is one of {', '.join(ROLES)}")
    secret = PREFIX + secrets.token_urlsafe(32)
    return secret, Token(name, role, digest(secret), now_ms)


def digest(secret: str) -> str:
    """What is kept of a token's text."""
    return hashlib.sha256(secret.encode()).hexdigest()


def dump(tokens: Sequence[Token]) -> bytes:
    """The content of a file of tokens."""
    return json.dumps([asdict(token) for token in tokens], indent=2).encode() + b"\n"


def load(path: Path) -> list[Token]:
    """The tokens of a file; none where there is no file. Raises KeyFileUnusable."""
    try:
        tokens = [Token(**entry) for entry in json.loads(path.read_bytes())]
    except FileNotFoundError:
        return []
    except (OSError, ValueError, TypeError) as error:
        raise KeyFileUnusable(f"{path} cannot be read: {type(error).__name__}.") from None
    if not all(token.role in ROLES for token in tokens):
        raise KeyFileUnusable(f"{path} names a role that there is not.")
    return tokens


class TokenFile:
    """Who a token belongs to. The file is read again when it was replaced, so that a revoked token ends at once."""

    def __init__(self, first: str, path: Path) -> None:
        self._first = {digest(first): Bearer(FIRST, "analyst")}
        self._path = path
        self._seen: tuple[int, int] | None = None
        self._bearers: dict[str, Bearer] = {}

    def bearer(self, secret: str) -> Bearer | None:
        """Whose token it is; None where it is nobody's. Raises KeyFileUnusable."""
        self._renew()
        # The digest of a guess says nothing of a token, so that how long a look-up takes does not matter.
        return self._bearers.get(digest(secret)) or self._first.get(digest(secret))

    def _renew(self) -> None:
        try:
            status = self._path.stat()
            seen = (status.st_mtime_ns, status.st_ino)
        except FileNotFoundError:
            seen = None
        if seen != self._seen or seen is None:
            self._bearers = {token.sha256: Bearer(token.name, token.role) for token in load(self._path)}
            self._seen = seen
