"""Keys and certificates: made once, private, kept, and good for TLS."""

from __future__ import annotations

import base64
import datetime
import json
import socket
import ssl
import stat
from pathlib import Path
from threading import Thread

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
    load_pem_public_key,
)

from infra import pki
from infra.errors import KeyFileInvalid
from infra.key_files import ensure_keys
from infra.pki import PkiFiles, ensure_pki, load_authority

NOW = datetime.datetime.now(datetime.UTC)


def test_keys_are_made_once_and_kept(tmp_path: Path) -> None:
    keys = ensure_keys(tmp_path / "data")
    everything = {path: path.read_bytes() for path in (tmp_path).rglob("*") if path.is_file()}
    assert ensure_keys(tmp_path / "data") == keys
    assert {path: path.read_bytes() for path in (tmp_path).rglob("*") if path.is_file()} == everything
    assert {stat.S_IMODE(path.stat().st_mode) for path in everything} == {0o600}
    assert stat.S_IMODE(keys.sql_token.parent.stat().st_mode) == 0o700


def test_keys_have_the_shapes_that_the_parts_read(tmp_path: Path) -> None:
    keys = ensure_keys(tmp_path / "data")
    (row,) = json.loads(keys.token_keys.read_text())
    assert len(base64.b64decode(row["key"])) == 32
    assert Ed25519PrivateKey.from_private_bytes(base64.b64decode(keys.policy_key.read_bytes()))
    assert len(base64.b64decode(keys.pseudonym_key.read_bytes())) == 32
    assert len(bytes.fromhex(keys.storage_key.read_text())) == 32
    private = load_pem_private_key(keys.sealing_private.read_bytes(), None)
    assert private.public_key() == load_pem_public_key(keys.sealing_public.read_bytes())


def test_the_private_key_of_the_soc_is_neither_in_the_data_nor_named_to_the_parts(tmp_path: Path) -> None:
    keys = ensure_keys(tmp_path / "data")
    assert not keys.sealing_private.is_relative_to(tmp_path / "data")
    assert str(keys.sealing_private) not in keys.environment().values()


def test_the_private_key_of_the_soc_may_be_moved_away(tmp_path: Path) -> None:
    keys = ensure_keys(tmp_path / "data")
    public = keys.sealing_public.read_bytes()
    keys.sealing_private.unlink()
    ensure_keys(tmp_path / "data")
    assert not keys.sealing_private.exists()
    assert keys.sealing_public.read_bytes() == public


def test_a_private_key_of_former_data_is_never_overwritten(tmp_path: Path) -> None:
    keys = ensure_keys(tmp_path / "data")
    keys.sealing_public.unlink()
    with pytest.raises(KeyFileInvalid, match="move the private key"):
        ensure_keys(tmp_path / "data")


def test_an_empty_key_file_is_told(tmp_path: Path) -> None:
    ensure_keys(tmp_path / "data").storage_key.write_bytes(b"")
    with pytest.raises(KeyFileInvalid, match=r"storage\.key is empty"):
        ensure_keys(tmp_path / "data")


def test_certificates_are_kept_until_they_near_their_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    files = ensure_pki(tmp_path)
    authority, server = files.ca_cert.read_bytes(), files.server_cert.read_bytes()
    ensure_pki(tmp_path)
    assert files.server_cert.read_bytes() == server
    monkeypatch.setattr(pki, "RENEW_DAYS", pki.SERVER_DAYS + 1)
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
