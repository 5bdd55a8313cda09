"""The files and the transport of a client that keeps itself in a directory."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from viworks.errors import KeyFileError
from viworks.keys import KeyProtector, KeyStore
from viworks.spool import Bounds, Spool
from viworks.transport import ClientCertificate, HttpTransport, TlsSettings, Transport
from viworks.transport.tls import CertificateSource

SPOOL_LABEL = "spool"


def open_parts(
    base_url: str,
    client_id: str,
    directory: Path,
    protector: KeyProtector | None,
    tls: TlsSettings | None,
    bounds: Bounds | None,
    transport: Transport | None,
) -> tuple[KeyStore, Spool, Transport]:
    """Keys in ``keys``, spool in ``spool``; both made where they are not there. Raises KeyFileError, SpoolError."""
    try:
        directory.mkdir(parents=True, exist_ok=True, mode=0o700)
    except OSError as error:
        raise KeyFileError(f"the client's directory cannot be made: {type(error).__name__}") from None
    keys = KeyStore.open(directory / "keys", client_id, protector)
    try:
        spool = Spool(directory / "spool", keys.data_box(SPOOL_LABEL), bounds)
        given = tls or TlsSettings()
        settings = replace(given, certificate=certificate_of(keys, given.certificate))
        return keys, spool, transport or HttpTransport(base_url, tls=settings)
    except BaseException:
        keys.close()
        raise


def certificate_of(keys: KeyStore, otherwise: CertificateSource) -> CertificateSource:
    """The certificate in use, as the transport asks for it before each request; ``otherwise`` until the keys have one."""

    def current() -> ClientCertificate | None:
        pair = keys.tls
        return otherwise() if pair is None else ClientCertificate(pair.chain_pem.encode(), pair.key_pem.encode())

    return current
