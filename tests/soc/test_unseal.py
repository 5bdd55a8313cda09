"""``viworks unseal``: rows and single values open at their place; what does not is named without a value."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.mlkem import MLKEM768PrivateKey
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey
from cryptography.hazmat.primitives.serialization import NoEncryption

from schemas.sealing import Place, SealingKey
from schemas.sealing_suites import HybridPrivateKey, private_pem
from viworks.soc import unseal_command
from viworks.soc.errors import RowUnopened
from viworks.soc.rows import Opener

OLD = X25519PrivateKey.generate()
NEW = HybridPrivateKey(MLKEM768PrivateKey.generate(), X25519PrivateKey.generate())
FOREIGN = X25519PrivateKey.generate()
OPENER = Opener([OLD, NEW])
AT_MS = 1_769_861_045_123

Row = dict[str, Any]


def sealed(text: str, type_: str, message_id: str, key: X25519PrivateKey | HybridPrivateKey = NEW) -> str:
    return SealingKey(key.public_key()).seal(text.encode(), Place("c-1", type_, message_id))


def event(**changes: Any) -> Row:
    return {
        "client_id": "c-1",
        "event_id": "e-1",
        "timestamp": "2026-01-31 12:04:05.123",
        "_offset": "18446744073709551615",
        "description": sealed("grüße", "event.description", "e-1"),
        "signed_bytes": sealed('{"a":1}', "event.signed_bytes", "e-1", OLD),
        **changes,
    }


def test_every_envelope_of_a_row_opens_under_the_old_key_and_the_new() -> None:
    opened, faults = OPENER.open_row(event())
    assert opened == event() | {"description": "grüße", "signed_bytes": '{"a":1}'} | {"timestamp": opened["timestamp"]}
    assert faults == []


@pytest.mark.parametrize(
    "timestamp", [AT_MS, str(AT_MS), "2026-01-31 12:04:05.123", "2026-01-31T12:04:05.123Z", "2026-01-31 12:04:05.123000"]
)
@pytest.mark.parametrize("kind", ["heartbeat", "registration", "key_rotation", "certificate_request"])
def test_a_message_that_is_named_by_its_time_opens_however_the_time_is_written(kind: str, timestamp: int | str) -> None:
    row = {"client_id": "c-1", "timestamp": timestamp, "signed_bytes": sealed("x", f"{kind}.signed_bytes", str(AT_MS))}
    assert OPENER.open_row(row) == (row | {"signed_bytes": "x"}, [])


def test_members_that_the_client_itself_had_sealed_open_within_the_group() -> None:
    group = {"os_type": sealed("Linux", "registration.os_type", str(AT_MS)), "device_id": "d-7"}
    envelope = sealed(json.dumps(group), "registration.device_info", str(AT_MS))
    opened, faults = OPENER.open_row({"client_id": "c-1", "timestamp": AT_MS, "device_info": envelope})
    assert (opened["device_info"], faults) == ({"os_type": "Linux", "device_id": "d-7"}, [])


def test_a_group_that_holds_an_envelope_of_a_group_ends() -> None:
    inner = sealed("{}", "registration.device_info", str(AT_MS))
    envelope = sealed(json.dumps({"device_info": inner, "client_id": "c-2"}), "registration.device_info", str(AT_MS))
    opened, _ = OPENER.open_row({"client_id": "c-1", "timestamp": AT_MS, "device_info": envelope})
    assert opened["device_info"] == {"device_info": inner, "client_id": "c-2"}


FAULTS: dict[str, tuple[Callable[[], Row], str]] = {
    "another row's": (lambda: event(event_id="e-2", signed_bytes=""), "stood in another row or column"),
    "another client's": (lambda: event(client_id="c-2", signed_bytes=""), "stood in another row or column"),
    "another column's": (
        lambda: event(description=sealed("x", "event.signed_bytes", "e-1")),
        "stood in another row or column",
    ),
    "another key's": (lambda: event(description=sealed("x", "event.description", "e-1", FOREIGN)), "was not given"),
    "no envelope": (lambda: event(description="vws1:AAAA"), "no envelope"),
    "no client": (lambda: {"event_id": "e-1", "description": event()["description"]}, "lacks client_id"),
    "no message": (lambda: {"client_id": "c-1", "description": event()["description"]}, "lacks client_id, or"),
}


@pytest.mark.parametrize("name", FAULTS)
def test_what_does_not_open_stays_and_is_named(name: str) -> None:
    make, complaint = FAULTS[name]
    row = make()
    opened, faults = OPENER.open_row(row)
    assert opened["description"] == row["description"]
    assert len(faults) == 1
    assert faults[0].startswith("description: ")
    assert complaint in faults[0]


def test_a_columns_name_moves_no_cursor() -> None:
    _, [fault] = OPENER.open_row({"client_id": "c-1", "event_id": "e", "a\x1b[2J\nb": "vws1:AAAA"})
    assert fault.startswith("a?[2J?b: ")


@pytest.fixture
def key_file(tmp_path: Path) -> Path:
    path = tmp_path / "key.pem"
    path.write_bytes(private_pem(NEW, NoEncryption()))
    return path


def run(key_file: Path, rows: bytes, *options: str) -> subprocess.CompletedProcess[bytes]:
    """The command as an analyst's machine has it: on the light install."""
    script = "import sys; sys.modules['typer'] = None; from infra.cli import main; main()"
    command = [sys.executable, "-c", script, "unseal", "--key", str(key_file), *options]
    return subprocess.run(command, input=rows, capture_output=True, check=False)


def test_the_command_opens_rows_line_by_line_and_counts_what_stayed_closed(key_file: Path) -> None:
    good = event(signed_bytes="")
    rows = [json.dumps(good), "", "no json", "[1]", json.dumps(event(event_id="e-2", signed_bytes="")), "[" * 100_000]
    done = run(key_file, "\n".join(rows).encode())
    lines = done.stdout.splitlines()
    assert (done.returncode, len(lines)) == (1, 2)
    assert json.loads(lines[0])["description"] == "grüße"
    assert json.loads(lines[1])["description"].startswith("vws1:")
    said = done.stderr.decode().splitlines()
    assert said[:3] == ["line 3: it is no JSON", "line 4: it is no row: JSONEachRow has an object in each line", said[2]]
    assert said[2].startswith("line 5: description: it does not open")
    assert said[3:] == ["line 6: it is no JSON", "viworks unseal: 4 of 6 rows did not open, or not in full"]


def test_the_command_reads_a_file_and_writes_no_control_characters(key_file: Path, tmp_path: Path) -> None:
    hostile = "\x1b[2J\x9b2J\u202etxt"
    (tmp_path / "rows").write_text(
        json.dumps(event(signed_bytes="", description=sealed(hostile, "event.description", "e-1")))
    )
    done = run(key_file, b"", str(tmp_path / "rows"))
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["description"] == hostile
    assert done.stdout.isascii()


def test_columns_of_bytes_do_not_keep_a_row_from_opening(key_file: Path) -> None:
    row = json.dumps(event(signed_bytes="", signature="?")).encode().replace(b'"?"', b'"a\xd6\xff"')
    done = run(key_file, row)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["signature"] == "a\\xd6\\xff"


def test_the_command_opens_a_single_value(key_file: Path) -> None:
    options = ["--value", event()["description"], "--client", "c-1", "--type", "event.description"]
    assert run(key_file, b"", *options, "--id", "e-1").stdout.decode() == "grüße\n"
    assert run(key_file, b"", *options, "--id", "e-2").returncode == 1
    assert run(key_file, b"", *options).returncode == 2


@pytest.mark.parametrize("content", [b"", b"nonsense", b"-----BEGIN PRIVATE KEY-----\nMCow\n-----END PRIVATE KEY-----\n"])
def test_a_key_that_cannot_be_used_is_named(key_file: Path, content: bytes) -> None:
    key_file.write_bytes(content)
    done = run(key_file, b"{}")
    assert done.returncode == 1
    assert done.stderr.startswith(b"viworks unseal: key.pem: ")
    key_file.unlink()
    assert b"FileNotFoundError" in run(key_file, b"{}").stderr


def test_a_line_without_end_is_not_read_into_memory(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, key_file: Path) -> None:
    monkeypatch.setattr(unseal_command, "MAX_LINE_BYTES", 1000)
    (tmp_path / "rows").write_bytes(b" " * 5000)
    assert unseal_command.main(["--key", str(key_file), str(tmp_path / "rows")]) == 1
    (tmp_path / "rows").write_bytes(b" " * 999 + b"\n")
    assert unseal_command.main(["--key", str(key_file), str(tmp_path / "rows")]) == 0


def test_a_single_value_of_another_place_raises() -> None:
    with pytest.raises(RowUnopened):
        OPENER.open(event()["description"], Place("c-1", "event.description", "e-2"))
