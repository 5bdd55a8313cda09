"""The manifest: in the table, which all sinks of a server share, and in a file outside of the database.

An entry is written when both have it, the file by fsync. Where one of them has more, because a process or the machine ended
between the two, the other gets what it lacks; where they contradict each other, nothing more is written. Blocking.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import msgspec

from sinks.audit.files import append_lines, read_notes
from sinks.engine import Session
from sinks.errors import EngineUnavailable, ManifestInvalid
from sinks.literals import quoted
from sinks.retention.entries import FIRST_PREVIOUS, ORIGIN, Dropped, Entry, Step, note_hash, read_entry, text_of
from sinks.tables import DATABASE

TABLE = f"{DATABASE}.retention_manifest"

SignText = Callable[[str, str], str]


def file_of(data_dir: Path) -> Path:
    """Where the copy outside of the database is."""
    return data_dir / "retention" / "manifest.jsonl"


class Manifest:
    """Appends entries. ``open`` reads what is there, and must come first; one process at a time has it."""

    def __init__(self, path: Path, sign: SignText, now_ms: Callable[[], int]) -> None:
        self._path = path
        self._sign = sign
        self._now_ms = now_ms
        self.entries: list[Entry] = []
        self._last_hash = FIRST_PREVIOUS

    def open(self, session: Session) -> None:
        """Read both copies and give each what it lacks.

        Raises:
            ManifestInvalid: they contradict each other, or hold what is no entry.
            EngineUnavailable, OSError: one of them cannot be read or written.
        """
        in_file = read_notes(self._path) if self._path.exists() else []
        in_table = [note for (note,) in session.rows(f"SELECT note FROM {TABLE} ORDER BY sequence")]  # noqa: S608 - our own name
        shared = min(len(in_file), len(in_table))
        if in_file[:shared] != in_table[:shared]:
            raise ManifestInvalid("the table and the file contradict each other: see viworks retention verify")
        notes = max(in_file, in_table, key=len)
        self.entries = [read_entry(note)[0] for note in notes]
        if [entry.sequence for entry in self.entries] != list(range(len(notes))):
            raise ManifestInvalid("an entry is missing: see viworks retention verify")
        self._last_hash = note_hash(notes[-1]) if notes else FIRST_PREVIOUS
        for entry, note in list(zip(self.entries, notes, strict=True))[len(in_table) :]:
            _insert(session, entry, note)
        if len(in_file) < len(notes):
            append_lines(self._path, [msgspec.json.encode(note) for note in notes[len(in_file) :]])

    @property
    def pending(self) -> list[Entry]:
        """The intents that nothing completes."""
        completed = {entry.intent for entry in self.entries}
        return [entry for entry in self.entries if entry.step is Step.INTENT and entry.sequence not in completed]

    def intend(self, session: Session, dropped: Dropped) -> Entry:
        """Write down what is to be dropped, before it is. Raises as ``append``."""
        return self._append(session, Step.INTENT, dropped, -1, "")

    def complete(self, session: Session, intent: Entry | None, dropped: Dropped, fault: str = "") -> Entry:
        """Write down what was dropped, or why it was not; without an intent what was found gone.

        Raises:
            EngineUnavailable: nothing is known of the entry; ``open`` finds out.
            ManifestInvalid: another process has written to it.
            KeyFileUnusable, OSError: it cannot be signed, or the file cannot be written.
        """
        step = Step.FAILED if fault else Step.DONE
        return self._append(session, step, dropped, intent.sequence if intent else -1, fault)

    def _append(self, session: Session, step: Step, dropped: Dropped, intent: int, fault: str) -> Entry:
        entry = Entry(len(self.entries), self._now_ms(), step, dropped, intent, fault)
        note = self._sign(text_of(entry, self._last_hash), ORIGIN)
        _insert(session, entry, note)
        append_lines(self._path, [msgspec.json.encode(note)])
        self.entries.append(entry)
        self._last_hash = note_hash(note)
        return entry


def _insert(session: Session, entry: Entry, note: str) -> None:
    """Of two writers ClickHouse takes one, since an entry's number is the name of its insert."""
    values = f"({entry.sequence}, fromUnixTimestamp64Milli({entry.time_ms}), {quoted(note)})"
    token = f"insert_deduplicate = 1, insert_deduplication_token = 'manifest-{entry.sequence}', async_insert = 0"
    session.command(f"INSERT INTO {TABLE} (sequence, timestamp, note) SETTINGS {token} VALUES {values}")  # noqa: S608
    found = session.rows(f"SELECT note FROM {TABLE} WHERE sequence = {entry.sequence}")  # noqa: S608
    if [row[0] for row in found] != [note]:
        raise ManifestInvalid("another process has written to the manifest") if found else EngineUnavailable("no row")
