"""The storage key is rotated: whatever moment a process is killed at, nothing is lost and in the end one key reads all."""

from __future__ import annotations

import re
import secrets
import subprocess
import sys
from pathlib import Path
from xml.etree import ElementTree

import pytest

from infra.kafka import EmbeddedKafka
from sinks import rotation, storage
from sinks.errors import KeyFileUnusable, RotationFailed
from sinks.settings import SinkSettings
from sinks.storage_keys import StorageKey, read_ring, with_new_key, write_ring
from tests.deadline import eventually
from tests.sinks.samples import event, row
from tests.sinks.sink_process import SinkProcess, produce
from tests.sinks.stored_files import readable

ROOT = Path(__file__).parents[2]
LONG_AGO_MS = 1_600_000_000_000
SENTENCES = [
    "every part is on the newest key's disk",
    "the former keys' directories are set aside",
    "the newest key opens every part",
    "the former keys are removed from the ring",
    "what they encrypted is deleted",
]


def step(directory: Path, *arguments: str, killed: bool = False, fails: bool = False) -> str:
    command = [sys.executable, "-m", "tests.sinks.rotation_process", str(directory), *arguments]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == (-9 if killed else 1 if fails else 0), done.stderr
    return (done.stderr if fails else done.stdout).strip()


@pytest.fixture
def filled(tmp_path: Path) -> tuple[Path, str]:
    """A warehouse with a former key, where a rotation has begun; and what is in it."""
    (tmp_path / "storage.key").write_text(secrets.token_hex(32))
    everything = step(tmp_path, "fill")
    assert "'events'" in everything
    write_ring(tmp_path / "storage.key", with_new_key(read_ring(tmp_path / "storage.key")))
    return tmp_path, everything


@pytest.mark.parametrize(
    "sentences", [SENTENCES[3:4], pytest.param(SENTENCES, marks=pytest.mark.long)], ids=["one moment", "every moment"]
)
def test_it_is_begun_again_wherever_it_was_killed(filled: tuple[Path, str], sentences: list[str]) -> None:
    directory, everything = filled
    former = read_ring(directory / "storage.key")[1]
    assert step(directory, "read") == everything, "new parts and old ones are read"
    step(directory, "move", "2", killed=True)
    step(directory, "detach")
    assert "1 detached ones need a former key" in step(directory, "retire", fails=True)
    assert len(read_ring(directory / "storage.key")) == 2
    assert step(directory, "attach") == everything
    assert step(directory, "move") == everything
    for sentence in sentences:
        step(directory, "retire", sentence, killed=True)
        assert step(directory, "read") == everything, sentence
    if len(read_ring(directory / "storage.key")) > 1:
        step(directory, "retire")
    (left,) = read_ring(directory / "storage.key")
    assert left.number == 1
    historical = directory / "data" / "clickhouse" / "historical"
    assert [path.name for path in historical.iterdir()] == [left.directory]
    assert left.digits != former.digits
    assert former.digits.encode() not in readable(directory)


async def test_a_running_sink_rotates_and_takes_rows_meanwhile(kafka: EmbeddedKafka, tmp_path: Path) -> None:
    name, ring_file = f"rotated-{secrets.token_hex(8)}", tmp_path / "storage.key"
    async with SinkProcess(kafka.bootstrap, tmp_path, name) as sink:
        # Its part goes as soon as the engine is opened, at whatever moment of the rotation that is.
        expired = event(name, "expired", timestamp=LONG_AGO_MS, received_at=LONG_AGO_MS)
        await produce(kafka.bootstrap, [row("event", expired, 0), row("event", event(name, "before"), 0)])
        await sink.count(await sink.client(), "events", name, 1, within_s=30)
        write_ring(ring_file, with_new_key(read_ring(ring_file)))
        await produce(kafka.bootstrap, [row("event", event(name, "meanwhile"), 0)])

        async def rotated() -> bool:
            return len(read_ring(ring_file)) == 1

        await eventually(rotated, 30, "the former key is gone")
        await produce(kafka.bootstrap, [row("event", event(name, "after"), 0)])
        await sink.reachable()
        assert await sink.count(await sink.client(), "events", name, 3, within_s=30) == 3
        assert await sink.stop() == 0, sink.log.read_text()
    assert [path.name for path in (tmp_path / "data/clickhouse/historical").iterdir()] == ["encrypted_1"]


def test_a_part_that_only_the_former_key_opens_keeps_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_ring(tmp_path / "storage.key", with_new_key((StorageKey(0, "0" * 64),)))
    settings = SinkSettings(data_dir=tmp_path / "data", storage_key_file=tmp_path / "storage.key")
    part, other = rotation.Part("viworks", "events", "202601 1 5"), rotation.Part("viworks", "events", "202602 6 7")
    monkeypatch.setattr(rotation, "_parts", lambda _, ring: {part, other} if len(ring) > 1 else {part})
    with pytest.raises(RotationFailed, match="1 parts cannot be read"):
        rotation.retire(settings)
    assert [key.number for key in read_ring(settings.storage_key_file)] == [1, 0]


def test_data_of_a_key_that_is_missing_are_not_passed_over(tmp_path: Path) -> None:
    """The engine would open without their parts, and say nothing."""
    former, newest = StorageKey(0, "0" * 64), StorageKey(1, "1" * 64)
    (tmp_path / "clickhouse" / "historical" / former.directory).mkdir(parents=True)
    storage.prepare(tmp_path, (newest, former))
    with pytest.raises(KeyFileUnusable, match="restore the file"):
        storage.prepare(tmp_path, (newest,))


@pytest.mark.parametrize("keys", [1, 2])
def test_the_example_for_a_server_is_what_the_embedded_engine_has(tmp_path: Path, keys: int) -> None:
    ring = tuple(StorageKey(number, "0" * 64) for number in reversed(range(keys)))
    _, config = storage.prepare(tmp_path, ring)
    text = (ROOT / "infra" / "clickhouse" / "storage.xml").read_text()
    head, body = text.split("-->", 1)
    if keys == 2:
        body = re.sub(r"<!--\s*(<.*?>)\s*-->", r"\1", body, flags=re.DOTALL)
        body = body.replace("<main><disk>historical</disk></main>", "<main><disk>historical_1</disk></main>")
    example = storage_of(f"{head}-->{body}")
    assert example == storage_of(config.read_text())


def storage_of(text: str) -> list[tuple[str, str, str]]:
    """Every element of the storage configuration but the one path that is the installation's own."""
    found = ElementTree.fromstring(text).find("storage_configuration")
    assert found is not None
    elements = [(each.tag, (each.text or "").strip(), each.get("from_env", "")) for each in found.iter()]
    return sorted(each for each in elements if not each[1].startswith("/"))


def test_a_rotation_under_way_gets_no_third_key() -> None:
    ring = with_new_key((StorageKey(0, "0" * 64),))
    assert [key.number for key in ring] == [1, 0]
    assert with_new_key(ring) == ring
    assert ring[0].digits not in repr(ring)


@pytest.mark.parametrize(
    "text", ["", "1 " + "g" * 64, "0 " + "a" * 64 + "\n1 " + "b" * 64, "x " + "a" * 64, ("a" * 64 + "\n") * 2]
)
def test_what_is_no_ring_is_refused_without_a_word_of_it(tmp_path: Path, text: str) -> None:
    (tmp_path / "storage.key").write_text(text)
    with pytest.raises(KeyFileUnusable) as refusal:
        read_ring(tmp_path / "storage.key")
    assert not text or text.rsplit(maxsplit=1)[-1] not in str(refusal.value)
