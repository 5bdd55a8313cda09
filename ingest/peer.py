"""Who a TLS client certificate stands for. Whether it is trusted is decided before: by the handshake or by ``forwarded``."""

from __future__ import annotations

import re
from dataclasses import dataclass
from urllib.parse import unquote

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import NameOID

from ingest.errors import CertificateRefused
from schemas.certificates import URI_PREFIX, thumbprint

# The protocol's alphabet of client ids (schemas.messages.ClientId).
_CLIENT_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:@-]{0,127}")


@dataclass(frozen=True, slots=True)
class PeerCertificate:
    """What the edge keeps of a client's certificate.

    Attributes:
        thumbprint: as in API keys (``schemas.certificates.thumbprint``).
        not_after_s: its end, in seconds since the epoch.
    """

    client_id: str
    thumbprint: str
    serial: int
    not_after_s: int


def read_certificate(der: bytes) -> x509.Certificate:
    """Parse a certificate. Raises CertificateRefused."""
    try:
        return x509.load_der_x509_certificate(der)
    except ValueError:
        raise CertificateRefused("the client certificate cannot be read") from None


def peer_of(certificate: x509.Certificate) -> PeerCertificate:
    """The peer that a certificate names: by its URI ``urn:viworks:client:<id>``, else by its common name.

    Raises:
        CertificateRefused: it names nobody, two clients, or something that is no client id.
    """
    return PeerCertificate(
        client_id=_client_id(certificate),
        thumbprint=thumbprint(certificate.public_bytes(Encoding.DER)),
        serial=certificate.serial_number,
        not_after_s=int(certificate.not_valid_after_utc.timestamp()),
    )


def dns_names(certificate: x509.Certificate) -> list[str]:
    """Its DNS names in lower case. Raises CertificateRefused where its extensions cannot be read."""
    alternatives = _alternatives(certificate)
    return [] if alternatives is None else [name.lower() for name in alternatives.get_values_for_type(x509.DNSName)]


def _client_id(certificate: x509.Certificate) -> str:
    names = _uri_names(certificate) or _common_names(certificate)
    if len(names) > 1:
        raise CertificateRefused("the client certificate names more than one client")
    name = next(iter(names), "")
    if not _CLIENT_ID.fullmatch(name):
        raise CertificateRefused("the client certificate names no client")
    return name


def _uri_names(certificate: x509.Certificate) -> set[str]:
    alternatives = _alternatives(certificate)
    uris = [] if alternatives is None else alternatives.get_values_for_type(x509.UniformResourceIdentifier)
    try:
        return {unquote(uri[len(URI_PREFIX) :], errors="strict") for uri in uris if uri.startswith(URI_PREFIX)}
    except UnicodeDecodeError:
        raise CertificateRefused("the client certificate names no client") from None


def _common_names(certificate: x509.Certificate) -> set[str]:
    try:
        found = certificate.subject.get_attributes_for_oid(NameOID.COMMON_NAME)
    except ValueError:
        raise CertificateRefused("the client certificate cannot be read") from None
    return {name.value if isinstance(name.value, str) else "" for name in found}


def _alternatives(certificate: x509.Certificate) -> x509.SubjectAlternativeName | None:
    try:
        return certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound:
        return None
    except (ValueError, x509.DuplicateExtension):
        raise CertificateRefused("the client certificate cannot be read") from None
