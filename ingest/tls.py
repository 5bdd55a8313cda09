"""TLS of the network listener: contexts made from files, and made anew when the files change.

OpenSSL adds certificates and revocation lists to a context but never takes one back. So a change makes a fresh context for
the connections to come; the open ones keep theirs, and ``protocol`` checks their certificate at every request.
"""

from __future__ import annotations

import asyncio
import datetime
import logging
import re
import ssl
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm

from ingest.errors import TlsFilesUnusable
from ingest.metrics import TLS_RELOADS
from ingest.revoked_serials import RevokedSerials

log = logging.getLogger(__name__)

_LIST_PEM = re.compile(rb"-----BEGIN X509 CRL-----.+?-----END X509 CRL-----", re.DOTALL)
# What a stat says that changes whenever a file is replaced or rewritten: modification (ns), size, inode.
_Stamp = tuple[int, int, int] | None


@dataclass(frozen=True, slots=True)
class TlsFiles:
    """Where the parts of a context are (PEM). ``client_certificate`` says whether clients must have one."""

    cert: Path
    key: Path
    authorities: Path
    revocation_lists: Path | None
    client_certificate: bool

    def stamps(self) -> tuple[_Stamp, ...]:
        """Changes whenever a file does."""
        files = (self.cert, self.key, self.authorities, self.revocation_lists)
        return tuple(_stamp(file) for file in files if file is not None)


@dataclass(frozen=True, slots=True)
class TlsMaterial:
    """What the files say: a context, and the same in a form that forwarded certificates can be checked by."""

    context: ssl.SSLContext
    authorities: tuple[x509.Certificate, ...]
    revoked: frozenset[int]


class CurrentContext(ssl.SSLContext):
    """Gives every new connection the newest context; a listener keeps the one it was started with for ever."""

    # asyncio and uvloop make each connection's TLS object by this one method.
    current: ssl.SSLContext

    def wrap_bio(self, *args: Any, **kwargs: Any) -> ssl.SSLObject:
        return self.current.wrap_bio(*args, **kwargs)


class Tls:
    """The TLS material in force. ``context`` is for listeners and stays valid when the files change."""

    def __init__(self, files: TlsFiles, revoked: RevokedSerials) -> None:
        """Raises TlsFilesUnusable."""
        self._files = files
        self._revoked = revoked
        self._stamps = files.stamps()
        self.authorities: tuple[x509.Certificate, ...] = ()
        self.context = CurrentContext(ssl.PROTOCOL_TLS_SERVER)
        self._use(load(files))

    async def reload_forever(self, interval_s: float) -> None:
        """Look at the files at intervals until cancelled."""
        while True:
            await asyncio.sleep(interval_s)
            await self.reload()

    async def reload(self) -> None:
        """Read the files again if one has changed. What cannot be used changes nothing and is logged."""
        stamps = self._files.stamps()
        if stamps == self._stamps:
            return
        # Remembered before the files are read: a change during the reading is seen the next time.
        self._stamps = stamps
        try:
            self._use(await asyncio.to_thread(load, self._files))
        except TlsFilesUnusable as error:
            TLS_RELOADS.labels("kept").inc()
            log.error("the changed TLS files are not used, the former stay in force: %s", error)
        else:
            TLS_RELOADS.labels("ok").inc()
            log.info("the TLS files have changed and are in force")

    def _use(self, material: TlsMaterial) -> None:
        self.context.current = material.context
        self.authorities = material.authorities
        self._revoked.from_list(material.revoked)


def load(files: TlsFiles) -> TlsMaterial:
    """Read the files. Raises TlsFilesUnusable, which names the file at fault."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_3
    context.verify_mode = ssl.CERT_REQUIRED if files.client_certificate else ssl.CERT_OPTIONAL
    # A resumed session would not be checked against a newer revocation list.
    context.num_tickets = 0
    try:
        context.load_cert_chain(files.cert, files.key)
        context.load_verify_locations(files.authorities)
        authorities = tuple(x509.load_pem_x509_certificates(files.authorities.read_bytes()))
    except (OSError, ValueError) as error:
        raise TlsFilesUnusable(f"certificate, key or authorities cannot be used: {_reason(error)}") from error
    if files.revocation_lists is None:
        return TlsMaterial(context, authorities, frozenset())
    return TlsMaterial(context, authorities, _load_lists(context, files.revocation_lists, authorities))


def _load_lists(context: ssl.SSLContext, file: Path, authorities: Sequence[x509.Certificate]) -> frozenset[int]:
    try:
        lists = [x509.load_pem_x509_crl(pem) for pem in _LIST_PEM.findall(file.read_bytes())]
        _check_lists(file, lists, authorities)
        context.load_verify_locations(file)
    except (OSError, ValueError, UnsupportedAlgorithm) as error:
        raise TlsFilesUnusable(f"{file.name} cannot be used: {_reason(error)}") from error
    context.verify_flags |= ssl.VERIFY_CRL_CHECK_LEAF
    return frozenset(entry.serial_number for listed in lists for entry in listed)


def _check_lists(
    file: Path, lists: Sequence[x509.CertificateRevocationList], authorities: Sequence[x509.Certificate]
) -> None:
    """OpenSSL refuses every client of an authority that has no list in force: better to keep what was there before.

    A root whose intermediate stands beside it issues no clients and needs no list.
    """
    now = datetime.datetime.now(datetime.UTC)
    in_force = [listed for listed in lists if listed.next_update_utc is None or listed.next_update_utc > now]
    roots = {authority.issuer for authority in authorities if authority.issuer != authority.subject}
    for authority in authorities:
        if authority.subject not in roots and not any(_is_by(authority, listed) for listed in in_force):
            raise TlsFilesUnusable(f"{file.name} has no list in force of an authority of the CA file")


def _is_by(authority: x509.Certificate, listed: x509.CertificateRevocationList) -> bool:
    key: Any = authority.public_key()
    try:
        return listed.issuer == authority.subject and listed.is_signature_valid(key)
    except TypeError:  # a key of a kind that signs nothing
        return False


def _reason(error: Exception) -> str:
    # Of an SSLError the words only: its text has a place in OpenSSL's source too.
    return getattr(error, "reason", None) or getattr(error, "strerror", None) or type(error).__name__


def _stamp(file: Path) -> _Stamp:
    try:
        stat = file.stat()
    except OSError:
        return None
    return stat.st_mtime_ns, stat.st_size, stat.st_ino
