"""Where the audit log and the copies of its checkpoints are read from: what runs, or an export of it."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import msgspec
import pyarrow as pa
from clickhouse_connect.driver.exceptions import ClickHouseError

from infra import run_file
from infra.durable_files import private_directory, write_atomically
from infra.errors import AuditUnreadable
from infra.settings import InfraSettings
from infra.warehouse_reader import reader
from sinks.audit import exports, sql_source
from sinks.audit.files import read_notes
from sinks.audit.report import Report, verify
from sinks.audit.sealer import Sealed
from sinks.audit.signing_key import read_public_keys
from sinks.audit.timeline import Copy
from sinks.audit.topic import CheckpointTopic
from sinks.errors import CheckpointUndelivered, SinkError

FORMATS = {
    "parquet": (exports.PARQUET, exports.write_parquet),
    "ndjson": (exports.NDJSON, exports.write_ndjson),
}
_FILE, _TOPIC, _TABLE, _KEYS = "checkpoints.jsonl", "checkpoints-topic.jsonl", "checkpoints-table.jsonl", "public-keys"


@dataclass(frozen=True, slots=True)
class Source:
    """A log. ``copies`` were read before ``tables`` are, those outside of the database first."""

    copies: tuple[Copy, ...]
    tables: Callable[[], Iterator[pa.Table]]
    public_keys: Path

    @property
    def compared(self) -> list[str]:
        """The names of the copies that were there."""
        return [copy.name for copy in self.copies]


async def running(settings: InfraSettings) -> Source:
    """The log of what runs: by the SQL port of a running ``up``, or on a server.

    Raises:
        NotRunning, AuditUnreadable: it cannot be read.
    """
    run = run_file.read(settings.data_dir) or {}
    directory = settings.data_dir / "audit"
    with _translated():
        copies = [Copy("file", _notes_of(directory / _FILE))]
        copies += await _topic(settings.kafka or run.get("kafka"))
        client = reader(settings, "auditor")
        copies.append(Copy("table", sql_source.notes(client)))
    return Source(tuple(copies), lambda: sql_source.tables(client), directory / _KEYS)


def exported(directory: Path) -> Source:
    """The log of an export. Raises AuditUnreadable."""
    with _translated():
        copies = [Copy("file", _notes_of(directory / _FILE))]
        if (directory / _TOPIC).exists():
            copies.append(_of_topic(read_notes(directory / _TOPIC)))
        copies.append(Copy("table", _notes_of(directory / _TABLE)))
    return Source(tuple(copies), lambda: exports.read_export(directory), directory / _KEYS)


def verified(source: Source, keys: Path | None, further: Sequence[Path], now_ms: int) -> Report:
    """Verify a log, also against copies of its checkpoints that were kept elsewhere. Raises AuditUnreadable."""
    with _translated():
        kept = [Copy(path.name, read_notes(path), whole=False, current=False) for path in further]
        public_keys = read_public_keys(keys or source.public_keys)
        return verify(source.tables(), [*kept, *source.copies], public_keys, now_ms)


def write_export(source: Source, directory: Path, form: str) -> int:
    """Write all that a verification needs, and return how many records there are. Raises AuditUnreadable."""
    name, write = FORMATS[form]
    with _translated():
        if directory.exists() and any(directory.iterdir()):
            raise AuditUnreadable(f"{directory} is not empty: name another directory.")
        private_directory(directory)
        for copy in source.copies:
            lines = b"".join(msgspec.json.encode(note) + b"\n" for note in copy.notes)
            write_atomically(directory / {"file": _FILE, "topic": _TOPIC, "table": _TABLE}[copy.name], lines)
        shutil.copyfile(source.public_keys, directory / _KEYS)
        return write(directory / name, source.tables())


def listed(data_dir: Path) -> list[Sealed]:
    """The checkpoints of the file, unverified. Raises AuditUnreadable."""
    with _translated():
        sealed = [Sealed.of(note) for note in _notes_of(data_dir / "audit" / _FILE)]
    if not sealed:
        raise AuditUnreadable(
            f"{data_dir / 'audit' / _FILE} has no checkpoint: there is none before the first audit record."
        )
    return sealed


async def _topic(bootstrap: str | None) -> list[Copy]:
    if not bootstrap:
        return []
    try:
        return [_of_topic(await CheckpointTopic(bootstrap).notes())]
    except CheckpointUndelivered as error:
        raise AuditUnreadable(f"The topic of the checkpoints cannot be read from {bootstrap}: {error}.") from None


def _of_topic(notes: list[str]) -> Copy:
    """Kafka drops the oldest, and may have one twice."""
    return Copy("topic", notes, whole=False)


def _notes_of(path: Path) -> list[str]:
    """What is missing is found by comparison, so a file that is gone is one without checkpoints."""
    return read_notes(path) if path.exists() else []


@contextmanager
def _translated() -> Iterator[None]:
    try:
        yield
    except (SinkError, ClickHouseError, OSError) as error:
        what = str(error) if isinstance(error, SinkError) else type(error).__name__
        raise AuditUnreadable(f"The audit log cannot be read: {what}.") from None
