"""Is a manifest what was written? Offline: it takes the notes and the public keys, nothing else. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from sinks.audit.notes import open_note
from sinks.errors import CheckpointInvalid, ManifestInvalid
from sinks.retention.entries import FIRST_PREVIOUS, ORIGIN, Entry, Step, note_hash, read_entry


@dataclass(slots=True)
class Report:
    """What was found. ``faults`` are sentences, in the order of the entries; ``open`` are intents that nothing completes."""

    entries: int = 0
    rows: int = 0
    faults: list[str] = field(default_factory=list)
    open: dict[int, Entry] = field(default_factory=dict)


def verify(notes: Iterable[str], public_keys: Sequence[bytes]) -> Report:
    """Check every signature, the chain from its beginning, and that each step completes an intent that was open."""
    report, previous = Report(), FIRST_PREVIOUS
    for number, note in enumerate(notes):
        try:
            open_note(note, ORIGIN, public_keys)
            entry, before = read_entry(note)
        except (CheckpointInvalid, ManifestInvalid) as error:
            report.faults.append(f"Entry {number}: {error}.")
        else:
            if (entry.sequence, before) != (number, previous):
                report.faults.append(f"Entry {number} does not follow the one before it.")
            _count(report, entry)
        report.entries += 1
        previous = note_hash(note)
    return report


def _count(report: Report, entry: Entry) -> None:
    if entry.step is Step.INTENT:
        report.open[entry.sequence] = entry
        return
    if entry.intent >= 0 and report.open.pop(entry.intent, None) is None:
        report.faults.append(f"Entry {entry.sequence} completes entry {entry.intent}, which is no open intent.")
    if entry.step is Step.DONE:
        report.rows += entry.dropped.rows
