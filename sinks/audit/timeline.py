"""The checkpoints of all copies held against each other: one timeline of what was signed, and what is wrong with it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import islice

from sinks.audit.checkpoints import FIRST_PREVIOUS, Checkpoint, note_hash, origin_of
from sinks.audit.faults import Fault, shown
from sinks.audit.notes import open_note
from sinks.audit.sealer import Sealed
from sinks.errors import CheckpointInvalid

# The sink copies a checkpoint at once; after a crash it does so when it starts again.
COPIED_WITHIN_MS = 120_000


@dataclass(frozen=True, slots=True)
class Copy:
    """Checkpoints from one place, in the order in which they stand there.

    Attributes:
        name: for messages: ``table``, ``file``, ``topic``.
        notes: as they are; nothing is known of them yet.
        whole: whether it has to begin with the first one of all, and to have each once.
        current: whether it has to reach to the newest one, a moment's delay aside.
    """

    name: str
    notes: Sequence[str]
    whole: bool = True
    current: bool = True


@dataclass(slots=True)
class Timeline:
    """``checkpoints`` are signed, and in the order of their numbers; ``faults`` say what was wrong or is missing."""

    checkpoints: list[Checkpoint] = field(default_factory=list)
    faults: list[Fault] = field(default_factory=list)


def timeline(copies: Iterable[Copy], public_keys: Sequence[bytes], now_ms: int) -> Timeline:
    """Read all copies. Where two differ, the one of the earlier copy counts: give those outside of the database first."""
    found = Timeline()
    reader = _Reader(public_keys)
    by_copy: dict[str, dict[int, Sealed]] = {}
    for copy in copies:
        by_copy[copy.name] = {}
        for sealed in reader.read(copy, found.faults):
            by_copy[copy.name].setdefault(sealed.checkpoint.sequence, sealed)
    agreed = _agreed(by_copy, found.faults)
    for copy in copies:
        found.faults += _lacking(copy, by_copy[copy.name], agreed, now_ms)
    found.checkpoints = [sealed.checkpoint for sealed in agreed.values()]
    found.faults += _breaks(list(agreed.values()))
    return found


class _Reader:
    def __init__(self, public_keys: Sequence[bytes]) -> None:
        self._public_keys = public_keys
        # Copies repeat each other, and a signature takes longer to check than all else.
        self._signed: dict[str, Sealed] = {}

    def read(self, copy: Copy, faults: list[Fault]) -> Iterator[Sealed]:
        last = -1
        for number, note in enumerate(copy.notes, 1):
            try:
                sealed = self._signed.get(note) or self._read(note)
            except CheckpointInvalid as error:
                faults.append(Fault(f"Checkpoint in place {number} of the {copy.name}: {error}."))
                continue
            sequence = sealed.checkpoint.sequence
            if copy.whole and sequence <= last:
                faults.append(Fault(f"Checkpoint {sequence} of the {copy.name} stands after checkpoint {last}."))
            last = max(last, sequence)
            yield sealed

    def _read(self, note: str) -> Sealed:
        open_note(note, origin_of(note), self._public_keys)
        sealed = self._signed[note] = Sealed.of(note)
        return sealed


def _agreed(by_copy: dict[str, dict[int, Sealed]], faults: list[Fault]) -> dict[int, Sealed]:
    agreed: dict[int, tuple[str, Sealed]] = {}
    for name, checkpoints in by_copy.items():
        for sequence, sealed in checkpoints.items():
            other, known = agreed.setdefault(sequence, (name, sealed))
            if known.checkpoint != sealed.checkpoint:
                faults.append(_about(sealed.checkpoint, f"of the {name} is not that of the {other}, though both are signed"))
    return {sequence: sealed for sequence, (_, sealed) in sorted(agreed.items())}


def _lacking(copy: Copy, have: dict[int, Sealed], agreed: dict[int, Sealed], now_ms: int) -> list[Fault]:
    """The first number that the copy should have and has not."""
    if not have and not copy.whole:
        return []
    newest = max(have, default=-1)
    wanted = range(0 if copy.whole else min(have), (max(agreed, default=-1) if copy.current else newest) + 1)
    late = {number for number, sealed in agreed.items() if number > newest and _recent(sealed.checkpoint, now_ms)}
    lacking = (number for number in wanted if number not in have and number not in late)
    return [_about_number(agreed, number, f"is missing in the {copy.name}") for number in islice(lacking, 1)]


def _recent(checkpoint: Checkpoint, now_ms: int) -> bool:
    return now_ms - checkpoint.time_ms < COPIED_WITHIN_MS


def _breaks(timeline: Sequence[Sealed]) -> Iterator[Fault]:
    before: Sealed | None = None
    for sealed in timeline:
        if not _follows(before, sealed.checkpoint):
            after = f"checkpoint {before.checkpoint.sequence}" if before else "the beginning of the log"
            yield _about(sealed.checkpoint, f"does not follow {after}")
        before = sealed


def _follows(before: Sealed | None, checkpoint: Checkpoint) -> bool:
    if before is None:
        return (checkpoint.sequence, checkpoint.first_record, checkpoint.previous) == (0, 0, FIRST_PREVIOUS)
    last = before.checkpoint
    if (checkpoint.sequence, checkpoint.previous) != (last.sequence + 1, note_hash(before.note)):
        return False
    if checkpoint.day == last.day:
        same_start = (checkpoint.first_record, checkpoint.first_offset) == (last.first_record, last.first_offset)
        return same_start and checkpoint.records > last.records
    return checkpoint.day > last.day and checkpoint.first_record == last.records


def _about(checkpoint: Checkpoint, what: str) -> Fault:
    return Fault(f"Checkpoint {checkpoint.sequence} (day {shown(checkpoint.day)}) {what}.")


def _about_number(agreed: dict[int, Sealed], number: int, what: str) -> Fault:
    return _about(agreed[number].checkpoint, what) if number in agreed else Fault(f"Checkpoint {number} {what}.")
