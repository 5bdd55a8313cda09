"""``viworks migrate`` and ``viworks keys rotate-storage`` on the embedded engine while nothing runs."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from infra.data_lock import DataLock
from infra.ports import free_port
from sinks.migrate import migrations
from sinks.storage_keys import read_ring

ROOT = Path(__file__).parents[2]


def viworks(data: Path, *arguments: str, status: int = 0) -> str:
    command = [sys.executable, "-m", "infra", *arguments, "--data", str(data)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == status, done.stderr
    return done.stderr if status else done.stdout


def test_tables_are_planned_made_and_given_a_new_key(tmp_path: Path) -> None:
    planned = viworks(tmp_path, "migrate", "--dry-run", "--cluster", "fleet")
    assert "CREATE DATABASE IF NOT EXISTS viworks ON CLUSTER 'fleet';" in planned
    assert planned.count("outstanding, sha256") == len(migrations())
    assert viworks(tmp_path, "migrate").splitlines() == [f"applied {each.name}" for each in migrations()]
    assert "nothing is outstanding" in viworks(tmp_path, "migrate", "--dry-run")
    (former,) = read_ring(tmp_path / "secrets" / "storage.key")
    assert "the former key is gone" in viworks(tmp_path, "keys", "rotate-storage")
    (newest,) = read_ring(tmp_path / "secrets" / "storage.key")
    assert (newest.number, newest.digits == former.digits) == (1, False)
    assert viworks(tmp_path, "migrate") == "nothing is outstanding\n"
    with DataLock(tmp_path):
        assert "is in use" in viworks(tmp_path, "migrate", status=1)


@pytest.mark.parametrize("command", ["erase somebody --kafka 127.0.0.1:1", "retention", "audit verify"])
def test_a_server_that_does_not_answer_is_one_sentence(tmp_path: Path, command: str) -> None:
    dsn = f"http://somebody:secret@127.0.0.1:{free_port()}/"
    said = viworks(tmp_path, *command.split(), "--clickhouse", dsn, status=1)
    assert said.startswith("viworks: The warehouse does not answer, or does not let us in (OperationalError): see")
    assert len(said.splitlines()) == 1
    assert "secret" not in said
