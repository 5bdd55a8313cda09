"""API keys: PASETO v4.local tokens that carry all that an edge must know of a client (DESIGN §2).

Any edge process checks any client without a look-up. The key's id stands in the footer, so that keys can be rotated:
the first key of the file makes tokens, all of them open tokens.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import msgspec
import pyseto
from pyseto import Key

from ingest.errors import TokenError
from ingest.groups import NO_GROUPS, Groups
from schemas.signing import key_id

MAX_TOKEN_CHARS = 2048
_CACHE_SIZE = 200_000
_ASSERTION = b"viworks-api-key"

SCOPES = ("heartbeat", "sessions", "events", "config", "policies")


class Claims(msgspec.Struct, frozen=True, kw_only=True):
    """What a token says. ``exp`` in seconds since the epoch."""

    sub: str
    pk: bytes
    scp: tuple[str, ...]
    ep: int
    exp: int


@dataclass(frozen=True, slots=True)
class Identity:
    """The client that a token speaks for.

    Attributes:
        key_since_ms: since when the client has its key; 0 where that is not known.
    """

    client_id: str
    public_key: bytes
    key_id: str
    scopes: frozenset[str]
    key_epoch: int
    expires_s: int
    groups: Groups = NO_GROUPS
    key_since_ms: int = 0


class TokenKeys:
    """Makes and opens tokens; opened ones are kept, since opening costs 15 µs."""

    def __init__(self, keys: Sequence[tuple[str, bytes]]) -> None:
        """``keys``: (key id, 32 secret bytes), the newest first."""
        if not keys:
            raise TokenError("there is no server key for tokens")
        self._keys: Mapping[str, pyseto.KeyInterface] = {
            kid: Key.new(version=4, purpose="local", key=secret) for kid, secret in keys
        }
        self._newest = keys[0][0]
        self._opened: dict[str, Identity] = {}

    @classmethod
    def from_file(cls, path: Path) -> TokenKeys:
        """Read ``[{"kid": …, "key": base64 of 32 bytes}, …]``."""
        return cls([(row["kid"], base64.b64decode(row["key"])) for row in json.loads(path.read_text())])

    def issue(self, client_id: str, public_key: bytes, key_epoch: int, expires_s: int) -> str:
        """Make a token with every client scope, good until ``expires_s`` (seconds since the epoch)."""
        claims = Claims(sub=client_id, pk=public_key, scp=SCOPES, ep=key_epoch, exp=expires_s)
        footer = json.dumps({"kid": self._newest}).encode()
        token = pyseto.encode(
            self._keys[self._newest], msgspec.json.encode(claims), footer=footer, implicit_assertion=_ASSERTION
        )
        return token.decode()

    def identify(self, token: str, now_s: float) -> Identity:
        """Open a token.

        Raises:
            TokenError: not made by one of our keys, changed, or expired.
        """
        identity = self._opened.get(token)
        if identity is None:
            identity = self._open(token)
            self._remember(token, identity)
        if identity.expires_s <= now_s:
            raise TokenError("the API key has expired")
        return identity

    def _open(self, token: str) -> Identity:
        if len(token) > MAX_TOKEN_CHARS or not token.startswith("v4.local."):
            raise TokenError("the API key is not one of this server's")
        try:
            opened = pyseto.decode(list(self._keys.values()), token, implicit_assertion=_ASSERTION)
            claims = msgspec.json.decode(_payload(opened), type=Claims)
        except (pyseto.PysetoError, ValueError, msgspec.MsgspecError):
            raise TokenError("the API key is not one of this server's") from None
        return Identity(claims.sub, claims.pk, key_id(claims.pk), frozenset(claims.scp), claims.ep, claims.exp)

    def _remember(self, token: str, identity: Identity) -> None:
        if len(self._opened) >= _CACHE_SIZE:
            del self._opened[next(iter(self._opened))]
        self._opened[token] = identity


def _payload(token: pyseto.Token) -> bytes:
    payload = token.payload
    return payload if isinstance(payload, bytes) else json.dumps(payload).encode()
