"""Keys: made once, private, kept, and of the shapes that the parts read."""

from __future__ import annotations

import base64
import json
import stat
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import load_pem_private_key, load_pem_public_key

from infra.errors import KeyFileInvalid
from infra.key_files import ensure_keys


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
