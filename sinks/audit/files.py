"""The copy of the checkpoints outside of the database: a file that only grows, one note a line as a JSON string."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import BinaryIO

import msgspec

from sinks.errors import CheckpointInvalid

# Of the end of the file, to find its last line: a note has less than a tenth of it.
_WINDOW_BYTES = 65_536


class CheckpointFile:
    """Blocking. A line that a crash cut short is cut away with the next append."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def newest(self) -> str | None:
        """The last note. Raises CheckpointInvalid where the last line is none, OSError."""
        try:
            with self._path.open("rb") as file:
                size = file.seek(0, os.SEEK_END)
                file.seek(max(0, size - _WINDOW_BYTES))
                whole, _, _ = file.read().rpartition(b"\n")
        except FileNotFoundError:
            return None
        return _note(whole.rpartition(b"\n")[2]) if whole else None

    def append(self, notes: Sequence[str]) -> None:
        """Return once the disk has them. Raises OSError."""
        append_lines(self._path, [msgspec.json.encode(note) for note in notes])


def read_notes(path: Path) -> list[str]:
    """All notes of such a file; a line that is none comes as it is, for the verification to say so. Raises OSError."""
    # What follows the last line end is a line that is being written, or that a crash cut short.
    whole, _, _ = path.read_bytes().rpartition(b"\n")
    notes = []
    for line in whole.split(b"\n") if whole else []:
        try:
            notes.append(_note(line))
        except CheckpointInvalid:
            notes.append(line.decode(errors="replace"))
    return notes


def append_lines(path: Path, lines: Sequence[bytes]) -> None:
    """Append whole lines, and return once the disk has them. Raises OSError."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    with os.fdopen(descriptor, "r+b") as file:
        _cut_to_whole_lines(file)
        file.write(b"".join(line + b"\n" for line in lines))
        file.flush()
        os.fsync(file.fileno())
    _sync_directory(path.parent)


def _cut_to_whole_lines(file: BinaryIO) -> None:
    """Leave the file at its end, without the beginning of a line that a crash left there."""
    start = max(0, file.seek(0, os.SEEK_END) - _WINDOW_BYTES)
    file.seek(start)
    file.seek(start + file.read().rfind(b"\n") + 1)
    file.truncate()


def _sync_directory(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _note(line: bytes) -> str:
    try:
        return msgspec.json.decode(line, type=str)
    except (msgspec.DecodeError, UnicodeError):
        raise CheckpointInvalid("it is no line of a file of checkpoints") from None
