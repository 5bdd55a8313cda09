"""Who speaks: API key, ``X-Client-ID`` and TLS certificate must name one client, and none of them may be revoked."""

from __future__ import annotations

from collections.abc import Mapping, MutableMapping
from dataclasses import dataclass
from typing import Any

from ingest import errors
from ingest.peer import PeerCertificate
from ingest.revocations import Revocations
from ingest.tokens import Identity, TokenKeys

ANY_SCOPE = "*"
Scope = MutableMapping[str, Any]


def peer_of(scope: Scope) -> PeerCertificate | None:
    """The client certificate of the request's connection; None where there is none."""
    state = scope.get("state")
    peer: PeerCertificate | None = state.get("peer") if state else None
    return peer


def address_of(scope: Scope) -> str:
    """The client's address as limits count it; empty behind a server that is not the edge's own."""
    state = scope.get("state")
    address: str = state.get("address", "") if state else ""
    return address


@dataclass(frozen=True, slots=True)
class Authenticator:
    """Checks requests without asking anybody."""

    keys: TokenKeys
    revocations: Revocations

    def authenticate(self, headers: Mapping[bytes, bytes], needed: str, now_ms: int, scope: Scope) -> Identity:
        """The identity of a request that needs the API key scope ``needed``; ``ANY_SCOPE`` where any API key will do.

        Args:
            scope: the request's ASGI scope, which says what its connection is.

        Raises:
            MissingApiKey, InvalidApiKey, MissingHeader, IdentityMismatch, CertificateRequired, ScopeRefused.
        """
        identity = self._identify(headers.get(b"authorization"), now_ms)
        claimed = headers.get(b"x-client-id")
        if claimed is None:
            raise errors.MissingHeader("X-Client-ID is missing", "X-Client-ID")
        if claimed != identity.client_id.encode():
            raise errors.IdentityMismatch("X-Client-ID is not the API key's client", "X-Client-ID")
        check_certificate(identity, scope)
        if needed not in identity.scopes and needed != ANY_SCOPE:
            raise errors.ScopeRefused(f"the API key lacks the scope {needed}")
        return identity

    def _identify(self, authorization: bytes | None, now_ms: int) -> Identity:
        if authorization is None:
            raise errors.MissingApiKey("Authorization: Bearer <api_key> is missing", "Authorization")
        scheme, _, token = authorization.partition(b" ")
        if scheme != b"Bearer" and scheme.lower() != b"bearer":
            raise errors.MissingApiKey("Authorization does not hold a Bearer API key", "Authorization")
        try:
            identity = self.keys.identify(token.strip().decode("ascii"), now_ms / 1000)
            self.revocations.check(identity, now_ms)
        except UnicodeDecodeError:
            raise errors.InvalidApiKey("the API key is not one of this server's", "Authorization") from None
        except errors.TokenError as error:
            raise errors.InvalidApiKey(str(error), "Authorization") from None
        return identity


def check_certificate(identity: Identity, scope: Scope) -> None:
    """Hold the API key against the connection's certificate (RFC 8705).

    Raises:
        CertificateRequired: a TLS connection without a certificate.
        IdentityMismatch: the certificate is another client's.
        InvalidApiKey: the API key is bound to another certificate.
    """
    peer = peer_of(scope)
    if peer is None:
        if scope.get("scheme") == "https":
            raise errors.CertificateRequired("connect with the client's TLS certificate")
        if identity.thumbprint:
            raise errors.InvalidApiKey("the API key is bound to a TLS certificate", "Authorization")
        return
    if peer.client_id != identity.client_id:
        raise errors.IdentityMismatch("the TLS certificate is another client's")
    if identity.thumbprint and identity.thumbprint != peer.thumbprint:
        raise errors.InvalidApiKey("the API key is bound to another TLS certificate", "Authorization")
