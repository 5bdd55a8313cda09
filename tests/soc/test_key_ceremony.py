"""The SOC's key: made offline under a passphrase, known by its fingerprint, never overwritten."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey
from cryptography.hazmat.primitives.serialization import BestAvailableEncryption
from nacl.pwhash import argon2id

from ingest.errors import PrivateKeyFound
from ingest.private_keys import refuse_private_key
from schemas.errors import SealingError
from schemas.sealing import Place, SealingKey, open_envelope
from schemas.sealing_suites import private_pem, raw_public_key
from viworks.soc import key_command, key_file, passphrases
from viworks.soc.errors import KeyUnusable

PASSPHRASE = "correct horse battery"
PLACE = Place("c", "event.description", "e")
CHEAP = {"ops": 1, "memory_bytes": argon2id.MEMLIMIT_MIN}


@pytest.fixture
def passphrase_file(tmp_path: Path) -> Path:
    path = tmp_path / "passphrase"
    path.write_text(f"{PASSPHRASE}\nanother line\n")
    return path


@pytest.fixture(autouse=True)
def cheap(monkeypatch: pytest.MonkeyPatch) -> None:
    """The costs of a ceremony are no test's business."""
    monkeypatch.setattr(key_file.locked, "__kwdefaults__", CHEAP)


@pytest.mark.parametrize("suite", key_command.SUITES)
def test_a_ceremony_makes_a_pair_that_seals_and_opens(
    tmp_path: Path, passphrase_file: Path, suite: str, capsys: pytest.CaptureFixture[str]
) -> None:
    made = tmp_path / "out"
    options = ["--passphrase-file", str(passphrase_file)]
    assert key_command.main(["create", "--out", str(made), "--suite", suite, *options]) == 0
    created = capsys.readouterr().out
    private, public = made / key_file.PRIVATE_NAME, made / key_file.PUBLIC_NAME
    key = SealingKey.from_pem(public.read_bytes())
    assert key.suite.name.lower() == suite
    assert open_envelope(key.seal(b"x", PLACE), PLACE, key_file.read(private, lambda: PASSPHRASE)) == b"x"
    assert private.stat().st_mode & 0o777 == 0o600
    for path in (public, private):
        assert key_command.main(["show", str(path), *options]) == 0
        shown = capsys.readouterr().out
        assert shown in created
        assert re.search(r"fingerprint  ([0-9A-F]{4} ){9}[0-9A-F]{4}\n", shown)
        assert shown.replace(" ", "").lower().count(key.key_id) == 2  # the fingerprint begins with the key id


def test_a_server_that_finds_the_encrypted_file_does_not_start(tmp_path: Path) -> None:
    key = key_file.made(hybrid=True)
    key_file.write_pair(tmp_path, key, PASSPHRASE)
    with pytest.raises(PrivateKeyFound):
        refuse_private_key(SealingKey(key.public_key()), [tmp_path])
    with pytest.raises(SealingError, match="private key"):
        SealingKey.from_pem((tmp_path / key_file.PRIVATE_NAME).read_bytes())


@pytest.mark.parametrize("name", [key_file.PRIVATE_NAME, key_file.PUBLIC_NAME])
def test_nothing_that_is_there_is_overwritten(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_text("precious")
    with pytest.raises(KeyUnusable, match="ever overwritten"):
        key_file.write_pair(tmp_path, key_file.made(hybrid=False), PASSPHRASE)
    assert [path.name for path in tmp_path.iterdir()] == [name]


def test_a_passphrase_that_is_short_or_wrong_is_refused(tmp_path: Path) -> None:
    with pytest.raises(KeyUnusable, match="less than 12"):
        key_file.write_pair(tmp_path, key_file.made(hybrid=False), "short")
    assert not list(tmp_path.iterdir())
    key_file.write_pair(tmp_path, key_file.made(hybrid=False), PASSPHRASE)
    with pytest.raises(KeyUnusable, match="passphrase is wrong"):
        key_file.read(tmp_path / key_file.PRIVATE_NAME, lambda: PASSPHRASE + "x")


def test_keys_of_other_tools_are_read_too() -> None:
    key = X25519PrivateKey.generate()
    for content in (key_file.locked(key, PASSPHRASE), private_pem(key, BestAvailableEncryption(PASSPHRASE.encode()))):
        read = key_file.unlocked(content, lambda: PASSPHRASE)
        assert raw_public_key(read.public_key()) == raw_public_key(key.public_key())


@pytest.mark.parametrize("costs", ["ops=999 memory=8192", "ops=1 memory=99999999999", "ops=0 memory=8192"])
def test_a_file_cannot_ask_for_costs_without_bound(costs: str) -> None:
    content = key_file.locked(key_file.made(hybrid=False), PASSPHRASE)
    changed = re.sub(rb"ops=\d+ memory=\d+", costs.encode(), content)
    with pytest.raises(KeyUnusable, match="out of bounds"):
        key_file.unlocked(changed, lambda: PASSPHRASE)


def typed(*parts: str) -> passphrases.Prompt:
    answers: Iterator[str] = iter(parts)
    return lambda label: next(answers)


def test_custodians_type_their_parts_twice_when_the_key_is_made_and_once_when_it_opens() -> None:
    assert passphrases.ask_twice(2, None, typed("first", "first", "second", "second")) == "first\nsecond"
    assert passphrases.ask(2, None, typed("first", "second")) == "first\nsecond"
    with pytest.raises(KeyUnusable, match="not the same"):
        passphrases.ask_twice(2, None, typed("first", "first", "second", "secnod"))


def test_a_file_that_is_no_key_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "public.pem").write_text("nonsense")
    assert key_command.main(["show", str(tmp_path / "public.pem")]) == 1
    assert capsys.readouterr().err.startswith("viworks soc-key: public.pem: ")
    assert key_command.main(["show", str(tmp_path / "absent")]) == 1
