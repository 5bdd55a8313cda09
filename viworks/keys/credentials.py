"""What a client must keep secret, as one value, and how each step of its life changes it. Pure.

A step that the server takes part in has two halves, so that a crash between them loses nothing: what is pending is written
down before anything is sent, and takes over once the answer is there.
"""

from __future__ import annotations

import secrets

import msgspec
from msgspec import Struct
from msgspec.structs import replace

KEY_BYTES = 32


class ApiKey(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """An API key and when it expires, in milliseconds since the epoch."""

    text: str
    expires_at_ms: int

    def __repr__(self) -> str:
        return f"ApiKey(expires_at_ms={self.expires_at_ms})"


class TlsPair(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A TLS key (PKCS #8, PEM) and its certificate with its chain (PEM)."""

    key_pem: str
    chain_pem: str

    def __repr__(self) -> str:
        return "TlsPair()"


class Credentials(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """All of a client's secrets.

    Attributes:
        seed: of the Ed25519 key in force (32 bytes); ``key_since_ms`` is when it was made, 0 where that is not known.
        master_key: 32 bytes from which the keys of other files are derived.
        pending_seed: of the key that a rotation has named, or is about to name, to the server.
        pending_tls_key: of the certificate that was asked for, or is about to be (PKCS #8, PEM).
    """

    client_id: str
    seed: bytes
    key_since_ms: int
    master_key: bytes
    pending_seed: bytes | None = None
    api_key: ApiKey | None = None
    tls: TlsPair | None = None
    pending_tls_key: str | None = None

    def __repr__(self) -> str:
        return f"Credentials({self.client_id!r})"


def made(client_id: str, now_ms: int, seed: bytes | None = None) -> Credentials:
    """The credentials of a new client, or of one whose seed is known (``now_ms`` is then 0)."""
    return Credentials(
        client_id=client_id,
        seed=seed if seed is not None else secrets.token_bytes(KEY_BYTES),
        key_since_ms=now_ms,
        master_key=secrets.token_bytes(KEY_BYTES),
    )


def rotated(state: Credentials, api_key: ApiKey, now_ms: int) -> Credentials:
    """The pending key in force, with its API key. Raises ValueError where none is pending."""
    if state.pending_seed is None:
        raise ValueError("no key is pending")
    return replace(state, seed=state.pending_seed, key_since_ms=now_ms, pending_seed=None, api_key=api_key)


def certified(state: Credentials, chain_pem: str, api_key: ApiKey) -> Credentials:
    """The pending TLS key in use, with its certificate and the API key that is bound to it. Raises ValueError."""
    if state.pending_tls_key is None:
        raise ValueError("no certificate is pending")
    tls = TlsPair(key_pem=state.pending_tls_key, chain_pem=chain_pem)
    return replace(state, tls=tls, pending_tls_key=None, api_key=api_key)


def encode(state: Credentials) -> bytes:
    return msgspec.json.encode(state)


def decode(content: bytes) -> Credentials:
    """Raises ValueError for anything that ``encode`` did not write."""
    state = msgspec.json.decode(content, type=Credentials)
    seeds = (state.seed, state.master_key, *filter(None, [state.pending_seed]))
    if any(len(seed) != KEY_BYTES for seed in seeds):
        raise ValueError("a key has not 32 bytes")
    return state
