"""Where clients' TLS certificates come from: our own authority, another one by a command, or nowhere.

``VIWORKS_CA_COMMAND`` names a program that gets the client's id as its only argument and a PKCS #10 request (PEM) on
standard input, and prints the certificate with its chain (PEM): a few lines around any authority's own client.
"""

from __future__ import annotations

import asyncio
import datetime
import logging
import os
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_pem_private_key

from processors.certificate_authority import CLIENT_DAYS, CertificateAuthority
from processors.errors import AuthorityUnusable, CertificateNotIssued
from processors.registry.certificates import Issued
from processors.settings import ProcessorSettings
from schemas.certificates import read_request, thumbprint
from schemas.errors import BadCertificateRequest

log = logging.getLogger(__name__)

_MAX_PEM_BYTES = 64 * 1024
_AT_ONCE = 4


class Issuer(Protocol):
    """Signs requests and remembers what no longer counts."""

    async def issue(self, client_id: str, csr: str) -> Issued:
        """A certificate for the client with the request's key. Raises CertificateNotIssued."""

    def revoke(self, serials: Sequence[str]) -> None:
        """Put serial numbers (hexadecimal) on the authority's list."""


def open_issuer(settings: ProcessorSettings) -> Issuer:
    """The issuer of the settings. Raises AuthorityUnusable."""
    if settings.ca_command:
        return CommandIssuer(settings.ca_command, settings.ca_timeout_s)
    if settings.ca_cert_file and settings.ca_key_file:
        authority = load_authority(settings.ca_cert_file, settings.ca_key_file)
        return LocalIssuer(authority, settings.crl_file)
    return NoIssuer()


def load_authority(cert_file: Path, key_file: Path) -> CertificateAuthority:
    """Read our own authority. Raises AuthorityUnusable where its certificate or key cannot be read."""
    try:
        key = load_pem_private_key(key_file.read_bytes(), None)
        certificate = x509.load_pem_x509_certificate(cert_file.read_bytes())
    except (OSError, ValueError) as error:
        raise AuthorityUnusable(f"The CA in {cert_file.parent} cannot be read: {error}.") from error
    if not isinstance(key, ec.EllipticCurvePrivateKey) or key.public_key() != certificate.public_key():
        raise AuthorityUnusable(f"{key_file} is not the key of {cert_file}.")
    return CertificateAuthority(certificate, key)


class LocalIssuer:
    """Our own authority; its revocation list is a file that edges read anew when it changes."""

    def __init__(self, authority: CertificateAuthority, list_file: Path | None) -> None:
        self._authority = authority
        self._list_file = list_file
        self._write_list(())

    async def issue(self, client_id: str, csr: str) -> Issued:
        request = _request(csr)
        certificate = self._authority.issue_client(client_id, request.public_key(), _now())
        return _issued(certificate, certificate.public_bytes(Encoding.PEM).decode())

    def revoke(self, serials: Sequence[str]) -> None:
        if serials:
            self._write_list(serials)

    def _write_list(self, serials: Sequence[str]) -> None:
        """Also at every start, so that the list never ends."""
        if self._list_file is None:
            return
        now = _now()
        revoked = _still_of_use(self._list_file, now)
        for serial in serials:
            revoked.setdefault(int(serial, 16), now)
        _replace(self._list_file, self._authority.revocation_list(revoked, now).public_bytes(Encoding.PEM))


class CommandIssuer:
    """Another authority, reached by a program. Its own revocation list is its own matter."""

    def __init__(self, command: str, timeout_s: float) -> None:
        self._command = command
        self._timeout_s = timeout_s
        self._free = asyncio.Semaphore(_AT_ONCE)

    async def issue(self, client_id: str, csr: str) -> Issued:
        request = _request(csr)
        async with self._free:
            pem = await self._run(client_id, csr)
        try:
            certificate = x509.load_pem_x509_certificate(pem)
        except ValueError:
            raise CertificateNotIssued("the authority's command printed no certificate") from None
        if _spki(certificate) != _spki(request):
            raise CertificateNotIssued("the authority's certificate has another key than the request")
        return _issued(certificate, pem.decode("ascii", "replace"))

    def revoke(self, serials: Sequence[str]) -> None:
        if serials:
            log.warning("%d certificates are revoked here; the external authority's list is its own", len(serials))

    async def _run(self, client_id: str, csr: str) -> bytes:
        try:
            process = await asyncio.create_subprocess_exec(
                self._command,
                client_id,
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.PIPE,
                stderr=asyncio.subprocess.DEVNULL,
            )
        except OSError as error:
            raise CertificateNotIssued(f"the authority's command does not start: {type(error).__name__}") from None
        try:
            async with asyncio.timeout(self._timeout_s):
                output, _ = await process.communicate(csr.encode())
        except TimeoutError:
            process.kill()
            await process.wait()
            raise CertificateNotIssued("the authority's command did not answer in time") from None
        if process.returncode or len(output) > _MAX_PEM_BYTES:
            raise CertificateNotIssued(f"the authority's command ended with {process.returncode}")
        return output


class NoIssuer:
    """No authority is configured."""

    async def issue(self, client_id: str, csr: str) -> Issued:
        raise CertificateNotIssued("no certificate authority is configured")

    def revoke(self, serials: Sequence[str]) -> None:
        """Nothing was issued."""


def _request(csr: str) -> x509.CertificateSigningRequest:
    try:
        return read_request(csr)
    except BadCertificateRequest as error:
        raise CertificateNotIssued(str(error)) from None


def _spki(holder: x509.Certificate | x509.CertificateSigningRequest) -> bytes:
    return holder.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)


def _issued(certificate: x509.Certificate, pem: str) -> Issued:
    return Issued(pem, f"{certificate.serial_number:x}", thumbprint(certificate.public_bytes(Encoding.DER)))


def _still_of_use(list_file: Path, now: datetime.datetime) -> dict[int, datetime.datetime]:
    """What the list has by now, without certificates that have expired since they were revoked."""
    if not list_file.exists():
        return {}
    try:
        entries = x509.load_pem_x509_crl(list_file.read_bytes())
    except ValueError:
        raise AuthorityUnusable(f"The revocation list {list_file} cannot be read.") from None
    since = now - datetime.timedelta(days=CLIENT_DAYS + 1)
    return {entry.serial_number: entry.revocation_date_utc for entry in entries if entry.revocation_date_utc > since}


def _replace(path: Path, content: bytes) -> None:
    descriptor, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    with os.fdopen(descriptor, "wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    Path(temporary).chmod(0o644)
    Path(temporary).replace(path)


def _now() -> datetime.datetime:
    return datetime.datetime.now(datetime.UTC)
