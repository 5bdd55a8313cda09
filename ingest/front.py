"""What all connections of one edge process share."""

from __future__ import annotations

from dataclasses import dataclass

from ingest.connection_caps import ConnectionCaps
from ingest.deadlines import Deadlines
from ingest.edge import Edge
from ingest.forwarded import TrustedProxies
from ingest.in_flight import InFlightBytes
from ingest.limits import Limits
from ingest.revoked_serials import RevokedSerials
from ingest.settings import EdgeSettings
from ingest.tls import Tls, TlsFiles


@dataclass(frozen=True, slots=True)
class Front:
    """The parts of the HTTP/TLS front. ``tls`` is None where there is no network listener."""

    settings: EdgeSettings
    limits: Limits
    revoked: RevokedSerials
    deadlines: Deadlines
    caps: ConnectionCaps
    in_flight: InFlightBytes
    proxies: TrustedProxies
    tls: Tls | None


def make_front(edge: Edge) -> Front:
    """The front of an edge. Raises TlsFilesUnusable."""
    settings = edge.settings
    files = _tls_files(settings)
    tls = Tls(files, edge.revoked) if files else None
    required = settings.tls_client_certificate == "required"
    return Front(
        settings=settings,
        limits=edge.limits,
        revoked=edge.revoked,
        deadlines=Deadlines(settings.request_timeout_s, settings.keep_alive_s, settings.answer_timeout_s, edge.clock),
        caps=ConnectionCaps(settings.max_connections_per_address, settings.max_connections),
        in_flight=InFlightBytes(settings.max_in_flight_bytes),
        proxies=TrustedProxies(
            settings.trusted_proxies, lambda: tls.authorities if tls else (), edge.clock, required=required
        ),
        tls=tls,
    )


def _tls_files(settings: EdgeSettings) -> TlsFiles | None:
    if not (settings.tls_cert_file and settings.tls_key_file and settings.tls_ca_file):
        return None
    required = settings.tls_client_certificate == "required"
    return TlsFiles(settings.tls_cert_file, settings.tls_key_file, settings.tls_ca_file, settings.tls_crl_file, required)
