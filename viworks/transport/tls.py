"""TLS towards the server: whose certificates count, which keys are pinned, the client's own certificate and its renewal."""

from __future__ import annotations

import logging
import ssl
import tempfile
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from viworks.errors import SettingsInvalid
from viworks.transport.pins import PinningContext, Pins

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class ClientCertificate:
    """The client's own certificate, PEM, followed by intermediate ones, and its private key, PEM (PKCS #8, unencrypted)."""

    chain: bytes
    key: bytes = field(repr=False)


CertificateSource = Callable[[], ClientCertificate | None]


def no_certificate() -> None:
    """The source of a client without a certificate of its own."""
    return


@dataclass(frozen=True, slots=True)
class TlsSettings:
    """How a server is recognised and how the client shows who it is.

    Attributes:
        authorities: the deployment's own, PEM; None: those that the system trusts.
        pins: see ``Pins``. None: any key that an authority has certified.
        certificate: asked before every request, so it must be quick. Once it returns another one, what is under way ends on
            its connection and what comes next uses a new one.
        lowest: ``ssl.TLSVersion.TLSv1_2`` where a middle box does not let TLS 1.3 through.
    """

    authorities: bytes | None = None
    pins: Pins | None = None
    certificate: CertificateSource = no_certificate
    lowest: ssl.TLSVersion = ssl.TLSVersion.TLSv1_3


class Contexts:
    """The context in force: made anew when the client's certificate changes."""

    def __init__(self, settings: TlsSettings) -> None:
        """Raises SettingsInvalid."""
        self._settings = settings
        self._certificate = settings.certificate()
        self._context = _context(settings, self._certificate)

    def current(self) -> ssl.SSLContext:
        """A certificate that cannot be used changes nothing: the former goes on working until it ends."""
        certificate = self._settings.certificate()
        if certificate is self._certificate or certificate == self._certificate:
            return self._context
        self._certificate = certificate
        try:
            self._context = _context(self._settings, certificate)
        except SettingsInvalid as error:
            log.warning("the new client certificate is not used, the former stays in force: %s", error)
        return self._context


class CertificateFiles:
    """The certificate of two PEM files, read again when one changes. A source for ``TlsSettings.certificate``."""

    def __init__(self, chain: str | Path, key: str | Path) -> None:
        self._files = (Path(chain), Path(key))
        self._stamps: tuple[tuple[int, int, int], ...] = ()
        self._certificate: ClientCertificate | None = None

    def __call__(self) -> ClientCertificate:
        """Raises SettingsInvalid where a file cannot be read and none could be read before."""
        try:
            self._read()
        except OSError as error:
            if self._certificate is None:
                raise SettingsInvalid(f"the client's certificate: {error.strerror}") from None
        if self._certificate is None:  # pragma: no cover - _read sets it or raises
            raise SettingsInvalid("the client's certificate cannot be read")
        return self._certificate

    def _read(self) -> None:
        stamps = tuple((stat.st_mtime_ns, stat.st_size, stat.st_ino) for stat in (file.stat() for file in self._files))
        if stamps == self._stamps:
            return
        chain, key = (file.read_bytes() for file in self._files)
        self._stamps = stamps
        # Between the two renames of a renewal the files do not belong together: the former pair serves until they do.
        if self._certificate is None or _belong_together(chain, key):
            self._certificate = ClientCertificate(chain, key)


def _context(settings: TlsSettings, certificate: ClientCertificate | None) -> ssl.SSLContext:
    context = PinningContext(ssl.PROTOCOL_TLS_CLIENT)  # checks the chain and the name
    context.minimum_version = settings.lowest
    context.hostname_checks_common_name = False
    context.set_alpn_protocols(["http/1.1"])
    context.pins = settings.pins
    try:
        if settings.authorities is None:
            context.load_default_certs()
        else:
            context.load_verify_locations(cadata=settings.authorities.decode("ascii"))
    except (ValueError, ssl.SSLError):
        raise SettingsInvalid("the authorities are not certificates in PEM") from None
    if certificate is not None:
        _show(context, certificate)
    return context


def _show(context: ssl.SSLContext, certificate: ClientCertificate) -> None:
    """Load the certificate. OpenSSL reads it from files only, so the key goes through one encrypted, and only for that."""
    import secrets

    password = secrets.token_hex(32)
    with tempfile.TemporaryDirectory(prefix="viworks-") as directory:
        chain, key = Path(directory, "chain.pem"), Path(directory, "key.pem")
        chain.write_bytes(certificate.chain)
        key.write_bytes(_encrypted(certificate.key, password.encode()))
        try:
            context.load_cert_chain(chain, key, password)
        except (OSError, ValueError):
            raise SettingsInvalid("the client's certificate and key do not belong together or are not PEM") from None


def _encrypted(key_pem: bytes, password: bytes) -> bytes:
    from cryptography.hazmat.primitives import serialization as forms

    try:
        key = forms.load_pem_private_key(key_pem, password=None)
    except (ValueError, TypeError):
        raise SettingsInvalid("the client's TLS key is not an unencrypted private key in PEM") from None
    return key.private_bytes(forms.Encoding.PEM, forms.PrivateFormat.PKCS8, forms.BestAvailableEncryption(password))


def _belong_together(chain: bytes, key_pem: bytes) -> bool:
    from cryptography import x509
    from cryptography.hazmat.primitives.serialization import load_pem_private_key

    try:
        certificate = x509.load_pem_x509_certificate(chain)
        return load_pem_private_key(key_pem, None).public_key() == certificate.public_key()
    except (ValueError, TypeError):
        return False
