"""Keys at rest: encrypted, private, whole after any crash; what was changed, swapped or set back is refused."""

from __future__ import annotations

import base64
import json
import os
import random
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from nacl.pwhash import argon2id

from viworks import Identity
from viworks.errors import (
    DataTampered,
    KeyFileError,
    KeysInUse,
    KeysLocked,
    KeysRolledBack,
    KeysTampered,
    KeysUnsafe,
)
from viworks.keys import (
    ApiKey,
    KeyFindingKind,
    KeyProtector,
    KeyringProtector,
    KeyStore,
    MachineProtector,
    PassphraseProtector,
)
from viworks.keys.directory import GENERATION_FILE, KEY_FILE, REFUSED_FILE

ID = "c-1"
API_KEY = ApiKey(text="v4.local.canary-of-the-api-key", expires_at_ms=1)


class Keyring:
    """The two calls of the package ``keyring``, over a dictionary."""

    def __init__(self) -> None:
        self.entries: dict[tuple[str, str], str] = {}

    def get_password(self, service: str, entry: str) -> str | None:
        return self.entries.get((service, entry))

    def set_password(self, service: str, entry: str, password: str) -> None:
        self.entries[service, entry] = password


def passphrase(text: str = "correct horse") -> PassphraseProtector:
    return PassphraseProtector(text, ops=1, memory_bytes=argon2id.MEMLIMIT_MIN)


def machine(directory: Path) -> MachineProtector:
    return MachineProtector(directory / "machine.secret", b"machine-1")


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    return tmp_path / "keys"


def made(directory: Path, protector: KeyProtector | None = None) -> Identity:
    """A store with a few versions, closed again."""
    with KeyStore.open(directory, ID, protector or machine(directory)) as store:
        store.remember_api_key(API_KEY)
        return store.identity


def findings(store: KeyStore) -> list[KeyFindingKind]:
    return [finding.kind for finding in store.findings]


KINDS: dict[str, Callable[[Path], KeyProtector]] = {
    "passphrase": lambda directory: passphrase(),
    "machine": machine,
    "keyring": lambda directory: KeyringProtector(RING),
}
RING = Keyring()


@pytest.mark.parametrize("kind", KINDS)
def test_what_was_written_is_read_back(directory: Path, kind: str) -> None:
    identity = made(directory, KINDS[kind](directory))
    with KeyStore.open(directory, ID, KINDS[kind](directory)) as store:
        assert (store.identity, store.api_key, store.findings) == (identity, API_KEY, ())
        assert store.key_since_ms > 0


def test_no_file_holds_a_secret_in_the_clear_and_others_may_read_none(directory: Path) -> None:
    identity = made(directory)
    secrets = [identity.secret_key, base64.b64encode(identity.secret_key), identity.secret_key.hex().encode(), b"canary"]
    for path in directory.iterdir():
        assert path.stat().st_mode & 0o777 == 0o600
        assert not any(secret in path.read_bytes() for secret in secrets)
    assert directory.stat().st_mode & 0o777 == 0o700


def test_nothing_secret_is_shown(directory: Path) -> None:
    with KeyStore.open(directory, ID, machine(directory)) as store:
        store.remember_api_key(API_KEY)
        shown = f"{store.state!r} {store.identity!r} {store.api_key!r}"
    assert "canary" not in shown
    assert repr(store.state.seed)[2:8] not in shown


def test_the_wrong_secret_is_told_from_a_changed_file(directory: Path) -> None:
    made(directory, passphrase())
    with pytest.raises(KeysLocked, match="passphrase"):
        KeyStore.open(directory, ID, passphrase("wrong"))
    with pytest.raises(KeysLocked, match="'passphrase', not by 'machine'"):
        KeyStore.open(directory, ID, machine(directory))


def test_another_machine_or_a_lost_secret_does_not_open_it(directory: Path) -> None:
    made(directory)
    with pytest.raises(KeysLocked):
        KeyStore.open(directory, ID, MachineProtector(directory / "machine.secret", b"machine-2"))
    (directory / "machine.secret").unlink()
    with pytest.raises(KeysLocked, match="missing"):
        KeyStore.open(directory, ID, machine(directory))


def test_an_empty_keyring_does_not_open_it(directory: Path) -> None:
    made(directory, KeyringProtector(RING))
    with pytest.raises(KeysLocked):
        KeyStore.open(directory, ID, KeyringProtector(Keyring()))


def test_the_protector_can_be_changed_and_data_stay_readable(directory: Path) -> None:
    with KeyStore.open(directory, ID, machine(directory)) as store:
        record = store.data_box("spool").encrypt(b"text", b"at 7")
        store.protect(passphrase())
        store.remember_api_key(API_KEY)
    with KeyStore.open(directory, ID, passphrase()) as store:
        assert store.data_box("spool").decrypt(record, b"at 7") == b"text"
        assert store.api_key == API_KEY


@pytest.mark.parametrize(
    ("label", "associated", "change"),
    [("policies", b"at 7", 0), ("spool", b"at 8", 0), ("spool", b"at 7", 1)],
    ids=["another label", "another place", "changed"],
)
def test_data_open_at_their_place_alone(label: str, associated: bytes, change: int) -> None:
    store = KeyStore.in_memory(Identity.create(ID))
    record = bytearray(store.data_box("spool").encrypt(b"text", b"at 7"))
    record[-1] ^= change
    with pytest.raises(DataTampered):
        store.data_box(label).decrypt(bytes(record), associated)


def test_every_changed_byte_of_the_key_file_is_noticed(directory: Path) -> None:
    made(directory)
    path, order = directory / KEY_FILE, random.Random(7)
    whole = path.read_bytes()
    for position in range(len(whole)):
        changed = bytearray(whole)
        changed[position] ^= 1 << order.randrange(8)
        path.write_bytes(changed)
        with pytest.raises((KeysTampered, KeysLocked)):
            KeyStore.open(directory, ID, machine(directory))
    for length in range(0, len(whole), 16):
        path.write_bytes(whole[:length])
        with pytest.raises(KeysTampered):
            KeyStore.open(directory, ID, machine(directory))


def header_changed(path: Path, **changes: Any) -> None:
    document = json.loads(path.read_bytes())
    document["header"] |= changes
    path.write_text(json.dumps(document, separators=(",", ":")))


@pytest.mark.parametrize(
    "changes",
    [{"generation": 9}, {"client_id": "c-2"}, {"nonce": ""}, {"generation": -1}, {"format": "viworks-keys/2"}, {"more": 1}],
    ids=str,
)
def test_a_changed_header_is_refused(directory: Path, changes: dict[str, Any]) -> None:
    made(directory)
    header_changed(directory / KEY_FILE, **changes)
    with pytest.raises(KeysTampered):
        KeyStore.open(directory, ID, machine(directory))


@pytest.mark.parametrize(
    "costs", [{"memory_bytes": 1 << 40}, {"ops": 1 << 30}, {"ops": 0}, {"memory_bytes": "x"}, {"salt": "AAAA"}], ids=str
)
def test_a_file_cannot_ask_for_costs_without_bound(directory: Path, costs: dict[str, Any]) -> None:
    made(directory, passphrase())
    path = directory / KEY_FILE
    header_changed(path, parameters=json.loads(path.read_bytes())["header"]["parameters"] | costs)
    with pytest.raises(KeysTampered):
        KeyStore.open(directory, ID, passphrase())


def test_nesting_without_end_is_refused(directory: Path) -> None:
    made(directory)
    (directory / KEY_FILE).write_text('{"header":' + "[" * 100_000)
    with pytest.raises(KeysTampered):
        KeyStore.open(directory, ID, machine(directory))


def test_another_clients_file_is_refused(directory: Path) -> None:
    made(directory)
    with pytest.raises(KeysTampered, match="another client's"):
        KeyStore.open(directory, "c-2", machine(directory))


def test_an_older_file_is_refused_unless_the_user_takes_it(directory: Path) -> None:
    made(directory)
    older = (directory / KEY_FILE).read_bytes()
    with KeyStore.open(directory, ID, machine(directory)) as store:
        store.begin_rotation()
    (directory / KEY_FILE).write_bytes(older)
    with pytest.raises(KeysRolledBack, match="version 2, but version 3"):
        KeyStore.open(directory, ID, machine(directory))
    with KeyStore.open(directory, ID, machine(directory), accept_rollback=True) as store:
        assert findings(store) == [KeyFindingKind.ROLLED_BACK]
        store.begin_rotation()
    with KeyStore.open(directory, ID, machine(directory)) as store:
        assert store.findings == ()


def test_a_file_that_is_gone_is_no_first_start(directory: Path) -> None:
    made(directory)
    (directory / KEY_FILE).unlink()
    with pytest.raises(KeysRolledBack, match="missing"):
        KeyStore.open(directory, ID, machine(directory))


def test_a_witness_that_is_gone_or_nonsense_is_noticed(directory: Path) -> None:
    made(directory)
    (directory / GENERATION_FILE).unlink()
    with KeyStore.open(directory, ID, machine(directory)) as store:
        assert findings(store) == [KeyFindingKind.UNWITNESSED]
    (directory / GENERATION_FILE).write_text("-1")
    with pytest.raises(KeysTampered):
        KeyStore.open(directory, ID, machine(directory))


def test_files_that_were_refused_give_way_to_a_new_key_that_says_so(directory: Path) -> None:
    before = made(directory)
    (directory / KEY_FILE).write_bytes(b"changed")
    with KeyStore.start_over(directory, ID, machine(directory)) as store:
        assert findings(store) == [KeyFindingKind.REPLACED]
        assert store.identity != before
    assert (directory / REFUSED_FILE).read_bytes() == b"changed"
    with KeyStore.open(directory, ID, machine(directory)) as again:
        assert again.identity == store.identity


def test_what_others_can_read_is_closed_and_reported(directory: Path) -> None:
    made(directory)
    for path in (directory, directory / KEY_FILE, directory / "machine.secret"):
        path.chmod(0o755)
    with KeyStore.open(directory, ID, machine(directory)) as store:
        assert findings(store) == [KeyFindingKind.EXPOSED] * 3
    assert all(path.stat().st_mode & 0o077 == 0 for path in (directory, *directory.iterdir()))
    with KeyStore.open(directory, ID, machine(directory)) as store:
        assert store.findings == ()


@pytest.mark.parametrize("kind", ["link", "directory", "pipe", "large"])
def test_what_is_no_file_of_ours_is_refused(directory: Path, kind: str) -> None:
    made(directory)
    path = directory / KEY_FILE
    content = path.read_bytes()
    path.unlink()
    if kind == "link":
        (directory / "elsewhere").write_bytes(content)
        path.symlink_to(directory / "elsewhere")
    elif kind == "directory":
        path.mkdir()
    elif kind == "pipe":
        os.mkfifo(path)
    else:
        path.write_bytes(b" " * (2 << 20))
    with pytest.raises(KeysUnsafe):
        KeyStore.open(directory, ID, machine(directory))


def test_one_process_at_a_time(directory: Path) -> None:
    with KeyStore.open(directory, ID, machine(directory)), pytest.raises(KeysInUse):
        KeyStore.open(directory, ID, machine(directory))
    KeyStore.open(directory, ID, machine(directory)).close()


def test_a_plaintext_key_is_taken_over_and_erased(directory: Path, tmp_path: Path) -> None:
    old = tmp_path / "client.key"
    identity = Identity.load_or_create(old, ID)
    with KeyStore.open(directory, ID, machine(directory), plain_key=old) as store:
        assert (store.identity, findings(store)) == (identity, [KeyFindingKind.PLAINTEXT])
    assert not old.exists()
    with KeyStore.open(directory, ID, machine(directory), plain_key=old) as store:
        assert (store.identity, store.findings) == (identity, ())


def test_a_plaintext_key_that_a_crash_left_is_erased_and_any_other_kept(directory: Path, tmp_path: Path) -> None:
    old = tmp_path / "client.key"
    Identity.load_or_create(old, ID)
    left = old.read_bytes()
    KeyStore.open(directory, ID, machine(directory), plain_key=old).close()
    old.write_bytes(left)
    KeyStore.open(directory, ID, machine(directory), plain_key=old).close()
    assert not old.exists()
    Identity.load_or_create(old, "somebody else")
    KeyStore.open(directory, ID, machine(directory), plain_key=old).close()
    assert old.exists()


def test_a_disk_that_is_full_changes_nothing(directory: Path) -> None:
    with KeyStore.open(directory, ID, machine(directory)) as store:
        (directory / KEY_FILE).unlink()
        (directory / KEY_FILE).mkdir()  # nothing can be renamed over it
        with pytest.raises(KeyFileError):
            store.remember_api_key(API_KEY)
        assert store.api_key is None
        (directory / KEY_FILE).rmdir()
        store.remember_api_key(API_KEY)
    with KeyStore.open(directory, ID, machine(directory)) as store:
        assert store.api_key == API_KEY


_WRITER = """
import sys
from viworks.keys import *
store = KeyStore.open(sys.argv[1], "c-1", MachineProtector(sys.argv[1] + "/machine.secret", b"machine-1"))
number = 0
while True:
    number += 1
    store.remember_api_key(ApiKey(text="x" * 2000, expires_at_ms=number))
    print(number, flush=True)
"""


def test_a_killed_writer_leaves_a_whole_file_with_all_that_it_had_confirmed(directory: Path) -> None:
    made(directory)
    order = random.Random(11)
    for _ in range(6):
        with subprocess.Popen([sys.executable, "-c", _WRITER, str(directory)], stdout=subprocess.PIPE) as writer:
            assert writer.stdout is not None
            for _ in range(order.randrange(1, 40)):
                confirmed = int(writer.stdout.readline())
            writer.send_signal(signal.SIGKILL)
            rest = writer.stdout.read().split()
        confirmed = int(rest[-1]) if rest else confirmed
        with KeyStore.open(directory, ID, machine(directory)) as store:
            assert store.api_key is not None
            assert store.api_key.expires_at_ms in (confirmed, confirmed + 1)
    assert {path.name for path in directory.iterdir()} == {KEY_FILE, GENERATION_FILE, "client.lock", "machine.secret"}
