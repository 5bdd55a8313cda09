"""The files of the certificate authority: made at first start, read back afterwards."""

from __future__ import annotations

import datetime
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)

from infra.durable_files import private_directory, write_atomically
from infra.errors import KeyFileInvalid
from processors import issuer
from processors.certificate_authority import CertificateAuthority, general_name, make_authority
from processors.errors import AuthorityUnusable

RENEW_DAYS = 30
LOCAL_NAMES = ("localhost", "127.0.0.1", "::1")


@dataclass(frozen=True, slots=True)
class PkiFiles:
    """Where the certificates are; PEM, keys as PKCS #8."""

    ca_cert: Path
    ca_key: Path
    server_cert: Path
    server_key: Path
    revocation_list: Path

    def environment(self) -> dict[str, str]:
        """The variables by which the edge finds its certificate and what it checks clients' with. The CA's key has none."""
        return {
            "VIWORKS_TLS_CRL_FILE": str(self.revocation_list),
            "VIWORKS_TLS_CERT_FILE": str(self.server_cert),
            "VIWORKS_TLS_KEY_FILE": str(self.server_key),
            "VIWORKS_TLS_CA_FILE": str(self.ca_cert),
        }

    def authority_environment(self) -> dict[str, str]:
        """The variables of the one part that signs certificates."""
        return {
            "VIWORKS_CA_CERT_FILE": str(self.ca_cert),
            "VIWORKS_CA_KEY_FILE": str(self.ca_key),
            "VIWORKS_CRL_FILE": str(self.revocation_list),
        }


def ensure_pki(data_dir: Path, extra_names: Sequence[str] = ()) -> PkiFiles:
    """Make the CA at first start, and the server's certificate where it is missing, near its end or for other names.

    Raises:
        KeyFileInvalid: a certificate or key that is there cannot be read.
    """
    directory = private_directory(data_dir / "pki")
    files = PkiFiles(*(directory / name for name in ("ca.pem", "ca.key", "server.pem", "server.key", "crl.pem")))
    now = datetime.datetime.now(datetime.UTC)
    if not files.ca_cert.exists():
        _make_ca(files, now)
    names = (*LOCAL_NAMES, *extra_names)
    if not _server_is_good(files, names, now):
        _make_server(files, load_authority(files), names, now)
    if not files.revocation_list.exists():
        write_atomically(files.revocation_list, load_authority(files).revocation_list({}, now).public_bytes(Encoding.PEM))
    return files


def load_authority(files: PkiFiles) -> CertificateAuthority:
    """Read the CA back. Raises KeyFileInvalid where its certificate or its key cannot be read."""
    try:
        return issuer.load_authority(files.ca_cert, files.ca_key)
    except AuthorityUnusable as error:
        raise KeyFileInvalid(str(error)) from error


def _make_ca(files: PkiFiles, now: datetime.datetime) -> None:
    authority, key = make_authority("ViWorkS local CA", now)
    # The key first: a certificate without its key would be taken for a whole CA.
    write_atomically(files.ca_key, _private_pem(key))
    write_atomically(files.ca_cert, authority.certificate.public_bytes(Encoding.PEM))


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
    return set(alternatives) == {general_name(name) for name in names} and key.public_key() == certificate.public_key()


def _private_pem(key: ec.EllipticCurvePrivateKey) -> bytes:
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
