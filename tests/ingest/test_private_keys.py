"""A server that finds the SOC's private key does not start."""

from __future__ import annotations

from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.mlkem import MLKEM768PrivateKey
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    KeySerializationEncryption,
    NoEncryption,
    PrivateFormat,
)

from infra.key_files import KeyFiles
from ingest import server
from ingest.errors import PrivateKeyFound
from ingest.private_keys import refuse_private_key
from schemas.errors import SealingError
from schemas.sealing import SealingKey
from schemas.sealing_suites import HybridPrivateKey
from tests.ingest.conftest import edge_settings

SOC = X25519PrivateKey.generate()
KEY = SealingKey(SOC.public_key())


def pem(key: X25519PrivateKey | ec.EllipticCurvePrivateKey, lock: KeySerializationEncryption | None = None) -> bytes:
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, lock or NoEncryption())


@pytest.mark.parametrize("content", [pem(SOC), b"a comment\n" + pem(SOC), pem(SOC, BestAvailableEncryption(b"secret"))])
def test_the_key_is_found_whatever_its_file_is_called(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "holiday.jpg").write_bytes(content)
    with pytest.raises(PrivateKeyFound, match=r"holiday\.jpg"):
        refuse_private_key(KEY, [tmp_path / "absent", tmp_path])


@pytest.mark.parametrize("half", ["mlkem", "x25519"])
def test_either_half_of_a_hybrid_key_is_found_wherever_it_stands_in_a_file(tmp_path: Path, half: str) -> None:
    private = HybridPrivateKey(MLKEM768PrivateKey.generate(), X25519PrivateKey.generate())
    own = getattr(private, half).private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    (tmp_path / "notes").write_bytes(pem(ec.generate_private_key(ec.SECP256R1())) + b"text\n" + own)
    with pytest.raises(PrivateKeyFound):
        refuse_private_key(SealingKey(private.public_key()), [tmp_path])
    refuse_private_key(KEY, [tmp_path])


def test_other_keys_are_none_of_its_business(tmp_path: Path) -> None:
    (tmp_path / "ca.key").write_bytes(pem(ec.generate_private_key(ec.SECP256R1())))
    (tmp_path / "another.pem").write_bytes(pem(X25519PrivateKey.generate()))
    (tmp_path / "broken.pem").write_bytes(b"-----BEGIN PRIVATE KEY-----\nxx\n-----END PRIVATE KEY-----\n")
    (tmp_path / "public.pem").write_text(KEY.pem())
    (tmp_path / "large").write_bytes(b"\0" * 100_000)
    refuse_private_key(KEY, [tmp_path])


async def test_the_edge_does_not_start(key_files: KeyFiles, tmp_path: Path) -> None:
    (tmp_path / "key.pem").write_bytes(key_files.sealing_private.read_bytes())
    settings = edge_settings("127.0.0.1:1", key_files, data_dir=tmp_path)
    with pytest.raises(PrivateKeyFound):
        await server.serve(settings, lambda: None)
    private = edge_settings("127.0.0.1:1", key_files, sealing_key_file=key_files.sealing_private)
    with pytest.raises(SealingError, match="private key"):
        await server.serve(private, lambda: None)
