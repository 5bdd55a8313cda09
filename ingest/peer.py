"""The TLS certificate of the other side of a connection."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class PeerCertificate:
    """A client's certificate, verified by the TLS layer. ``thumbprint`` as ``schemas.certificates.thumbprint``."""

    client_id: str
    thumbprint: str
    serial: int
    not_after_s: int
