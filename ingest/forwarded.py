"""What a proxy says of the client behind it: ``X-Forwarded-Client-Cert`` (Envoy's format) and ``X-Forwarded-For``.

Believed only on connections whose own TLS certificate is that of a configured proxy; from anybody else both headers are
dropped. The forwarded certificate must stand the checks of a handshake: issued by our authority, in force, for clients.
"""

from __future__ import annotations

import datetime
import ipaddress
import re
from collections.abc import Callable, Iterable, Sequence
from urllib.parse import unquote_to_bytes

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import ExtendedKeyUsageOID

from ingest.clock import Clock
from ingest.errors import CertificateRefused, MalformedHttp
from ingest.peer import PeerCertificate, dns_names, peer_of
from schemas.certificates import thumbprint

CLIENT_CERT, FORWARDED_FOR = b"x-forwarded-client-cert", b"x-forwarded-for"
HEADERS = frozenset({CLIENT_CERT, FORWARDED_FOR})

_MAX_KEPT = 10_000
# Of one element: a key, and a value that is quoted where it holds a separator.
_PAIR = re.compile(rb'\s*([A-Za-z]+)=("(?:[^"\\]|\\.)*"|[^";,]*)\s*(;|,|\Z)')


class TrustedProxies:
    """The proxies of the settings, and the client certificates that they forwarded (kept: reading one costs 200 µs)."""

    def __init__(
        self, names: Iterable[str], authorities: Callable[[], Sequence[x509.Certificate]], clock: Clock, *, required: bool
    ) -> None:
        """
        Args:
            names: DNS names (in a certificate's subjectAltName) or thumbprints.
            authorities: whoever issues clients' certificates now.
            required: refuse requests without a forwarded certificate.
        """
        given = list(names)
        self._names = {name.lower() for name in given}
        self._thumbprints = set(given)
        self._authorities = authorities
        self._clock = clock
        self._required = required
        self._kept: dict[bytes, PeerCertificate] = {}
        self._kept_for: Sequence[x509.Certificate] = ()

    def include(self, certificate: x509.Certificate) -> bool:
        """Whether a connection's own certificate is a proxy's."""
        if not self._thumbprints:
            return False
        if thumbprint(certificate.public_bytes(Encoding.DER)) in self._thumbprints:
            return True
        return not self._names.isdisjoint(dns_names(certificate))

    def client_of(self, headers: Sequence[tuple[bytes, bytes]]) -> PeerCertificate | None:
        """The client for which the proxy speaks.

        Raises:
            MalformedHttp: the header cannot be read.
            CertificateRefused: none where one is required, or one that is not acceptable. Revocation is not looked at.
        """
        values = [value for name, value in headers if name == CLIENT_CERT]
        if len(values) > 1:
            raise MalformedHttp("the header stands twice", "X-Forwarded-Client-Cert")
        pem = _last_certificate(values[0]) if values else b""
        if pem:
            return self._read(pem)
        if self._required:
            raise CertificateRefused("the proxy forwarded no client certificate")
        return None

    def _read(self, pem: bytes) -> PeerCertificate:
        authorities = self._authorities()
        if self._kept_for is not authorities or len(self._kept) >= _MAX_KEPT:
            self._kept_for, self._kept = authorities, {}
        peer = self._kept.get(pem)
        if peer is None:
            peer = self._kept[pem] = _checked(pem, authorities, self._clock() / 1000)
        return peer


def address_of(headers: Sequence[tuple[bytes, bytes]]) -> str | None:
    """The address that the proxy itself saw: the last of ``X-Forwarded-For``. None where there is none that can be read."""
    last = next((value for name, value in reversed(headers) if name == FORWARDED_FOR), b"")
    text = last.rpartition(b",")[2].strip().decode("latin-1")
    try:
        return str(ipaddress.ip_address(text))
    except ValueError:
        return None


def _last_certificate(value: bytes) -> bytes:
    """The ``Cert`` of the last element, which the proxy itself has added; empty where it has none."""
    found, at = b"", 0
    while at < len(value):
        pair = _PAIR.match(value, at)
        if pair is None:
            raise MalformedHttp("it is not in Envoy's format", "X-Forwarded-Client-Cert")
        key, text, end = pair.groups()
        if key.lower() == b"cert":
            found = text.strip(b'"')
        at = pair.end()
        if end == b"," and at < len(value):
            found = b""
    return unquote_to_bytes(found)


def _checked(pem: bytes, authorities: Sequence[x509.Certificate], now_s: float) -> PeerCertificate:
    try:
        certificate = x509.load_pem_x509_certificate(pem)
    except ValueError:
        raise CertificateRefused("the forwarded certificate cannot be read") from None
    if not any(_is_by(authority, certificate) for authority in authorities):
        raise CertificateRefused("the forwarded certificate is of another authority")
    if certificate.not_valid_before_utc > datetime.datetime.fromtimestamp(now_s, datetime.UTC):
        raise CertificateRefused("the forwarded certificate is not valid yet")
    if not _is_for_clients(certificate):
        raise CertificateRefused("the forwarded certificate is not for a TLS client")
    return peer_of(certificate)


def _is_by(authority: x509.Certificate, certificate: x509.Certificate) -> bool:
    try:
        certificate.verify_directly_issued_by(authority)
    except (ValueError, TypeError, InvalidSignature, UnsupportedAlgorithm):
        return False
    return True


def _is_for_clients(certificate: x509.Certificate) -> bool:
    try:
        extensions = certificate.extensions
        uses = extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
    except x509.ExtensionNotFound:
        return True
    except (ValueError, x509.DuplicateExtension):
        return False
    return ExtendedKeyUsageOID.CLIENT_AUTH in uses
