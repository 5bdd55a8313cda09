"""Certificates: made once, renewed before their end, and good for mutual TLS."""

from __future__ import annotations

import datetime
import socket
import ssl
import stat
from pathlib import Path
from threading import Thread

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from infra import pki
from infra.errors import KeyFileInvalid
from infra.pki import PkiFiles, ensure_pki, load_authority
from processors.certificate_authority import SERVER_DAYS

NOW = datetime.datetime.now(datetime.UTC)


def test_certificates_are_kept_until_they_near_their_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    files = ensure_pki(tmp_path)
    authority, server = files.ca_cert.read_bytes(), files.server_cert.read_bytes()
    ensure_pki(tmp_path)
    assert files.server_cert.read_bytes() == server
    monkeypatch.setattr(pki, "RENEW_DAYS", SERVER_DAYS + 1)
    ensure_pki(tmp_path)
    assert files.server_cert.read_bytes() != server
    assert files.ca_cert.read_bytes() == authority
    assert {stat.S_IMODE(path.stat().st_mode) for path in files.ca_cert.parent.iterdir()} == {0o600}


def test_a_further_name_makes_another_certificate(tmp_path: Path) -> None:
    ensure_pki(tmp_path)
    files = ensure_pki(tmp_path, ["ingest.example"])
    certificate = x509.load_pem_x509_certificate(files.server_cert.read_bytes())
    names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert names.get_values_for_type(x509.DNSName) == ["localhost", "ingest.example"]


def test_a_certificate_authority_that_cannot_be_read_is_told(tmp_path: Path) -> None:
    files = ensure_pki(tmp_path)
    files.ca_key.write_bytes(files.server_key.read_bytes())
    with pytest.raises(KeyFileInvalid, match="is not the key of"):
        load_authority(files)
    files.ca_key.write_text("garbage")
    with pytest.raises(KeyFileInvalid, match="cannot be read"):
        load_authority(files)


@pytest.mark.parametrize("client_id", ["laptop-7", "x" * 128, "with space/and ü"])
@pytest.mark.parametrize("key", [Ed25519PrivateKey.generate(), ec.generate_private_key(ec.SECP256R1())])
def test_mutual_tls_works_with_an_issued_certificate(
    tmp_path: Path, client_id: str, key: Ed25519PrivateKey | ec.EllipticCurvePrivateKey
) -> None:
    files = ensure_pki(tmp_path)
    certificate = load_authority(files).issue_client(client_id, key.public_key(), NOW)
    (tmp_path / "client.pem").write_bytes(
        certificate.public_bytes(Encoding.PEM) + key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    )
    seen = handshake(files, tmp_path / "client.pem")
    kind, name = seen["subjectAltName"][0]
    assert kind == "URI"
    assert name.startswith("urn:viworks:client:")


def handshake(files: PkiFiles, client: Path) -> dict[str, tuple[tuple[str, str], ...]]:
    """Connect to a server that asks for a client certificate; return what it saw of it."""
    server_context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH, cafile=str(files.ca_cert))
    server_context.verify_mode = ssl.CERT_REQUIRED
    server_context.load_cert_chain(files.server_cert, files.server_key)
    client_context = ssl.create_default_context(cafile=str(files.ca_cert))
    client_context.load_cert_chain(client)
    seen: list[dict[str, tuple[tuple[str, str], ...]]] = []
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def accept() -> None:
            raw, _ = listener.accept()
            with raw, server_context.wrap_socket(raw, server_side=True) as accepted:
                seen.append(accepted.getpeercert())  # type: ignore[arg-type]
                accepted.sendall(b"!")

        thread = Thread(target=accept)
        thread.start()
        with (
            socket.create_connection(listener.getsockname()) as raw,
            client_context.wrap_socket(raw, server_hostname="localhost") as connection,
        ):
            assert connection.recv(1) == b"!"
        thread.join(10)
    return seen[0]
