"""The API keys that handlers give out."""

from __future__ import annotations

from typing import NamedTuple

from ingest.edge import Edge
from ingest.groups import Groups
from ingest.tokens import Identity


class ApiKey(NamedTuple):
    """Its text, and its end in milliseconds since the epoch."""

    text: str
    expires_at_ms: int


def api_key(
    edge: Edge,
    identity: Identity,
    *,
    key_epoch: int,
    thumbprint: str,
    groups: Groups,
    key_since_ms: int,
    now_ms: int,
) -> ApiKey:
    """A new API key for the identity's client and key, with every scope of a client."""
    issued_s = now_ms // 1000
    expires_s = issued_s + edge.settings.token_lifetime_s
    text = edge.keys.issue(
        identity.client_id,
        identity.public_key,
        key_epoch,
        expires_s,
        issued_s=issued_s,
        thumbprint=thumbprint,
        groups=groups,
        key_since_ms=key_since_ms,
    )
    return ApiKey(text, expires_s * 1000)
