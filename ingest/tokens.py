"""API keys: PASETO v4.local tokens that carry all that an edge must know of a client (DESIGN §2).

Any edge process checks any client without a look-up. The key's id stands in the footer, so that keys can be rotated: every
key of the file opens tokens, the newest one whose time has come makes them. A new key is first told to all edges and makes
tokens only later, so that no edge meets a token that it cannot open yet.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import msgspec
import pyseto
from pyseto import Key

from ingest.errors import TokenError
from ingest.groups import NO_GROUPS, Groups
from schemas.signing import key_id

MAX_TOKEN_CHARS = 8192
_CACHE_SIZE = 200_000
_ASSERTION = b"viworks-api-key"

SCOPES = ("heartbeat", "sessions", "events", "config", "policies", "keys", "certificates")


class Claims(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What a token says. Times in seconds since the epoch; ``x5t`` the thumbprint of the bound certificate (RFC 8705)."""

    sub: str
    pk: bytes
    scp: tuple[str, ...]
    ep: int
    exp: int
    iat: int = 0
    x5t: str = ""
    cap: tuple[str, ...] = ()
    node: str | None = None
    lbl: tuple[str, ...] = ()
    ks: int = 0


@dataclass(frozen=True, slots=True)
class Identity:
    """The client that a token speaks for.

    Attributes:
        thumbprint: of the TLS certificate that the token is bound to; empty for none.
        key_since_ms: since when the client has its key; 0 where that is not known.
    """

    client_id: str
    public_key: bytes
    key_id: str
    scopes: frozenset[str]
    key_epoch: int
    expires_s: int
    issued_s: int = 0
    thumbprint: str = ""
    groups: Groups = NO_GROUPS
    key_since_ms: int = 0


class TokenKey(NamedTuple):
    """A server key. ``active_from_ms``: when it begins to make tokens."""

    kid: str
    secret: bytes
    active_from_ms: int = 0


class TokenKeys:
    """Makes and opens tokens; opened ones are kept, since opening costs 15 µs."""

    def __init__(self, keys: Sequence[TokenKey]) -> None:
        self._opened: dict[str, Identity] = {}
        self.replace(keys)

    @classmethod
    def from_file(cls, path: Path) -> TokenKeys:
        """Read ``[{"kid": text, "key": base64 of 32 bytes, "active_from": ms?}, ...]``. Raises TokenError."""
        return cls(read_keys(path))

    def replace(self, keys: Sequence[TokenKey]) -> None:
        """Use these keys from now on; tokens of a key that is gone no longer count. Raises TokenError for no keys."""
        if not keys:
            raise TokenError("there is no server key for tokens")
        self._keys: Mapping[str, pyseto.KeyInterface] = {
            key.kid: Key.new(version=4, purpose="local", key=key.secret) for key in keys
        }
        self._makers = sorted(keys, key=lambda key: key.active_from_ms, reverse=True)
        self._opened.clear()

    def issue(  # noqa: PLR0913 - what a token says
        self,
        client_id: str,
        public_key: bytes,
        key_epoch: int,
        expires_s: int,
        *,
        issued_s: int = 0,
        scopes: Iterable[str] = SCOPES,
        thumbprint: str = "",
        groups: Groups = NO_GROUPS,
        key_since_ms: int = 0,
    ) -> str:
        """Make a token; its members are those of ``Identity``. The time of issue decides which key makes it."""
        claims = Claims(
            sub=client_id,
            pk=public_key,
            scp=tuple(sorted(scopes)),
            ep=key_epoch,
            exp=expires_s,
            iat=issued_s,
            x5t=thumbprint,
            cap=tuple(sorted(groups.capabilities)),
            node=groups.node_id,
            lbl=tuple(sorted(groups.labels)),
            ks=key_since_ms // 1000,
        )
        kid = self._maker(issued_s * 1000)
        footer = json.dumps({"kid": kid}).encode()
        token = pyseto.encode(self._keys[kid], msgspec.json.encode(claims), footer=footer, implicit_assertion=_ASSERTION)
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

    @property
    def kept(self) -> int:
        """How many tokens are kept opened."""
        return len(self._opened)

    def _maker(self, now_ms: int) -> str:
        due = [key.kid for key in self._makers if key.active_from_ms <= now_ms]
        return due[0] if due else self._makers[-1].kid

    def _open(self, token: str) -> Identity:
        if len(token) > MAX_TOKEN_CHARS or not token.startswith("v4.local."):
            raise TokenError("the API key is not one of this server's")
        try:
            _check_canonical(token)
            opened = pyseto.decode(self._key_of(token), token, implicit_assertion=_ASSERTION)
            claims = msgspec.json.decode(_payload(opened), type=Claims)
        except (pyseto.PysetoError, ValueError, KeyError, msgspec.MsgspecError):
            raise TokenError("the API key is not one of this server's") from None
        return _identity(claims)

    def _key_of(self, token: str) -> pyseto.KeyInterface:
        """By the id in the footer, so that a key more does not make a token slower to open. Raises ValueError, KeyError."""
        footer = token.rpartition(".")[2]
        kid = msgspec.json.decode(base64.urlsafe_b64decode(footer + "=" * (-len(footer) % 4)), type=dict[str, str])["kid"]
        return self._keys[kid]

    def _remember(self, token: str, identity: Identity) -> None:
        if len(self._opened) >= _CACHE_SIZE:
            del self._opened[next(iter(self._opened))]
        self._opened[token] = identity


def read_keys(path: Path) -> list[TokenKey]:
    """Read a file of keys. Raises TokenError where it cannot be used."""
    try:
        entries = json.loads(path.read_bytes())
        keys = [TokenKey(str(e["kid"]), base64.b64decode(e["key"]), int(e.get("active_from", 0))) for e in entries]
        if any(len(key.secret) != 32 for key in keys):
            raise ValueError("length")
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise TokenError(f"the file of the token keys cannot be used: {type(error).__name__}") from None
    return keys


def _identity(claims: Claims) -> Identity:
    return Identity(
        client_id=claims.sub,
        public_key=claims.pk,
        key_id=key_id(claims.pk),
        scopes=frozenset(claims.scp),
        key_epoch=claims.ep,
        expires_s=claims.exp,
        issued_s=claims.iat,
        thumbprint=claims.x5t,
        groups=Groups(frozenset(claims.cap), claims.node, frozenset(claims.lbl)),
        key_since_ms=claims.ks * 1000,
    )


def _check_canonical(token: str) -> None:
    """Raise ValueError for base64 that is not the only one of its bytes: each text of an API key takes a place in memory."""
    for part in token.split(".")[2:]:
        raw = base64.urlsafe_b64decode(part + "=" * (-len(part) % 4))
        if base64.urlsafe_b64encode(raw).rstrip(b"=").decode() != part:
            raise ValueError("not canonical")


def _payload(token: pyseto.Token) -> bytes:
    payload = token.payload
    return payload if isinstance(payload, bytes) else json.dumps(payload).encode()
