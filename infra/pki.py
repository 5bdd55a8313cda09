"""The installation's certificate authority: signs the edge's TLS certificate and the clients' (RFC 5280)."""

from __future__ import annotations

import datetime
import ipaddress
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.types import CertificatePublicKeyTypes
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from infra.durable_files import private_directory, write_atomically
from infra.errors import KeyFileInvalid

CA_DAYS = 3650
SERVER_DAYS = 90
CLIENT_DAYS = 90
RENEW_DAYS = 30
LOCAL_NAMES = ("localhost", "127.0.0.1", "::1")
# Clocks of clients may be behind.
_BACKDATED = datetime.timedelta(minutes=10)
_LONGEST_COMMON_NAME = 64


@dataclass(frozen=True, slots=True)
class PkiFiles:
    """Where the certificates are; PEM, keys as PKCS #8."""

    ca_cert: Path
    ca_key: Path
    server_cert: Path
    server_key: Path

    def environment(self) -> dict[str, str]:
        """The variables by which the edge finds its certificate. The CA's key has none."""
        return {
            "VIWORKS_TLS_CERT_FILE": str(self.server_cert),
            "VIWORKS_TLS_KEY_FILE": str(self.server_key),
            "VIWORKS_TLS_CA_FILE": str(self.ca_cert),
        }


class CertificateAuthority:
    """Signs certificates with a key (ECDSA P-256, which every TLS client takes)."""

    def __init__(self, certificate: x509.Certificate, key: ec.EllipticCurvePrivateKey) -> None:
        self.certificate = certificate
        self._key = key

    def issue_client(
        self, client_id: str, public_key: CertificatePublicKeyTypes, now: datetime.datetime
    ) -> x509.Certificate:
        """A TLS client certificate that names ``client_id`` as a URI, and as common name where that is long enough."""
        names = [x509.UniformResourceIdentifier(f"urn:viworks:client:{quote(client_id, safe='')}")]
        builder = self._builder(client_id, public_key, now, CLIENT_DAYS, ExtendedKeyUsageOID.CLIENT_AUTH)
        # RFC 5280, 4.2.1.6: critical where it is all that names the subject.
        alone = len(client_id) > _LONGEST_COMMON_NAME
        return self._sign(builder.add_extension(x509.SubjectAlternativeName(names), critical=alone))

    def issue_server(
        self, names: Sequence[str], public_key: CertificatePublicKeyTypes, now: datetime.datetime
    ) -> x509.Certificate:
        """A TLS server certificate for DNS names and IP addresses."""
        builder = self._builder(names[0], public_key, now, SERVER_DAYS, ExtendedKeyUsageOID.SERVER_AUTH)
        alternatives = x509.SubjectAlternativeName([_general_name(name) for name in names])
        return self._sign(builder.add_extension(alternatives, critical=False))

    def _builder(
        self, common_name: str, key: CertificatePublicKeyTypes, now: datetime.datetime, days: int, use: x509.ObjectIdentifier
    ) -> x509.CertificateBuilder:
        issuer_key = self.certificate.extensions.get_extension_for_class(x509.SubjectKeyIdentifier).value
        return (
            _unsigned(_name(common_name), self.certificate.subject, key, now, days)
            .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
            .add_extension(_key_usage(ca=False), critical=True)
            .add_extension(x509.ExtendedKeyUsage([use]), critical=False)
            .add_extension(x509.AuthorityKeyIdentifier.from_issuer_subject_key_identifier(issuer_key), critical=False)
        )

    def _sign(self, builder: x509.CertificateBuilder) -> x509.Certificate:
        return builder.sign(self._key, hashes.SHA256())


def ensure_pki(data_dir: Path, extra_names: Sequence[str] = ()) -> PkiFiles:
    """Make the CA at first start, and the server's certificate where it is missing, near its end or for other names.

    Raises:
        KeyFileInvalid: a certificate or key that is there cannot be read.
    """
    directory = private_directory(data_dir / "pki")
    files = PkiFiles(*(directory / name for name in ("ca.pem", "ca.key", "server.pem", "server.key")))
    now = datetime.datetime.now(datetime.UTC)
    if not files.ca_cert.exists():
        _make_ca(files, now)
    names = (*LOCAL_NAMES, *extra_names)
    if not _server_is_good(files, names, now):
        _make_server(files, load_authority(files), names, now)
    return files


def load_authority(files: PkiFiles) -> CertificateAuthority:
    """Read the CA back.

    Raises:
        KeyFileInvalid: its certificate or its key cannot be read.
    """
    try:
        key = load_pem_private_key(files.ca_key.read_bytes(), None)
        certificate = x509.load_pem_x509_certificate(files.ca_cert.read_bytes())
    except (OSError, ValueError) as error:
        raise KeyFileInvalid(f"The CA in {files.ca_cert.parent} cannot be read: {error}.") from error
    if not isinstance(key, ec.EllipticCurvePrivateKey) or key.public_key() != certificate.public_key():
        raise KeyFileInvalid(f"{files.ca_key} is not the key of {files.ca_cert}.")
    return CertificateAuthority(certificate, key)


def _make_ca(files: PkiFiles, now: datetime.datetime) -> None:
    key = ec.generate_private_key(ec.SECP256R1())
    name = _name("ViWorkS local CA")
    certificate = (
        _unsigned(name, name, key.public_key(), now, CA_DAYS)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(_key_usage(ca=True), critical=True)
        .sign(key, hashes.SHA256())
    )
    # The key first: a certificate without its key would be taken for a whole CA.
    write_atomically(files.ca_key, _private_pem(key))
    write_atomically(files.ca_cert, certificate.public_bytes(Encoding.PEM))


def _make_server(files: PkiFiles, authority: CertificateAuthority, names: Sequence[str], now: datetime.datetime) -> None:
    key = ec.generate_private_key(ec.SECP256R1())
    certificate = authority.issue_server(names, key.public_key(), now)
    write_atomically(files.server_key, _private_pem(key))
    write_atomically(files.server_cert, certificate.public_bytes(Encoding.PEM))


def _server_is_good(files: PkiFiles, names: Sequence[str], now: datetime.datetime) -> bool:
    """Whether certificate and key are there, belong together, last long enough and stand for ``names``."""
    try:
        certificate = x509.load_pem_x509_certificate(files.server_cert.read_bytes())
        key = load_pem_private_key(files.server_key.read_bytes(), None)
        authority = x509.load_pem_x509_certificate(files.ca_cert.read_bytes())
        certificate.verify_directly_issued_by(authority)
    except (OSError, ValueError, TypeError, InvalidSignature):
        return False
    if certificate.not_valid_after_utc - now < datetime.timedelta(days=RENEW_DAYS):
        return False
    alternatives = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    return set(alternatives) == {_general_name(name) for name in names} and key.public_key() == certificate.public_key()


def _unsigned(
    subject: x509.Name, issuer: x509.Name, key: CertificatePublicKeyTypes, now: datetime.datetime, days: int
) -> x509.CertificateBuilder:
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - _BACKDATED)
        .not_valid_after(now + datetime.timedelta(days=days))
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key), critical=False)
    )


def _key_usage(*, ca: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not ca,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=ca,
        crl_sign=ca,
        encipher_only=False,
        decipher_only=False,
    )


def _name(common_name: str) -> x509.Name:
    # X.520 ends a common name at 64 characters; a longer client id stands in the URI alone.
    fits = len(common_name) <= _LONGEST_COMMON_NAME
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common_name)] if fits else [])


def _general_name(name: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(name))
    except ValueError:
        return x509.DNSName(name)


def _private_pem(key: ec.EllipticCurvePrivateKey) -> bytes:
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
