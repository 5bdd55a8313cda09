"""Checkpoints: what one says, as the text that is signed (c2sp.org/tlog-checkpoint).

Each day of the log is a log of its own in the sense of that document, as shards of certificate transparency logs are: its
origin names the day, its size and root are of the day's records. The extension lines tie the days together.
"""

from __future__ import annotations

import base64
import binascii
import re
from dataclasses import dataclass
from datetime import date
from hashlib import sha256

from sinks.audit.chain import Head, date_of, number_of
from sinks.errors import CheckpointInvalid

ORIGIN = "viworks/audit/"
FIRST_PREVIOUS = bytes(32)

_NUMBER = r"(0|[1-9][0-9]{0,18})"
_HASH = r"([A-Za-z0-9+/]{43}=)"
_TEXT = re.compile(
    rf"{ORIGIN}([0-9]{{4}}-[0-9]{{2}}-[0-9]{{2}})\n{_NUMBER}\n{_HASH}\nsequence {_NUMBER}\ntime {_NUMBER}\n"
    rf"records {_NUMBER} {_NUMBER}\noffsets {_NUMBER} {_NUMBER}\nchain {_HASH}\nprevious {_HASH}\n"
)


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """One checkpoint.

    Attributes:
        sequence: 0, 1, 2 and so on over all days.
        time_ms: the signer's clock.
        day: whose records ``root`` is of; counts from the epoch.
        first_record: position of the day's first record.
        records: of the whole log up to here; the position after the last record.
        first_offset, last_offset: of the day's first record and of the last one.
        root: RFC 6962 root over the leaves of the records from ``first_record`` to before ``records``.
        chain_hash: of the last record.
        previous: hash of the checkpoint before (``note_hash``).
    """

    sequence: int
    time_ms: int
    day: int
    first_record: int
    records: int
    first_offset: int
    last_offset: int
    root: bytes
    chain_hash: bytes
    previous: bytes

    @property
    def origin(self) -> str:
        return f"{ORIGIN}{date_of(self.day)}"

    @property
    def size(self) -> int:
        """How many records the day has up to here."""
        return self.records - self.first_record

    @property
    def head(self) -> Head:
        """The log's head as it was."""
        return Head(self.records, self.last_offset, self.day, self.chain_hash)

    @property
    def text(self) -> str:
        """What is signed."""
        return (
            f"{self.origin}\n{self.size}\n{_encoded(self.root)}\nsequence {self.sequence}\ntime {self.time_ms}\n"
            f"records {self.first_record} {self.records}\noffsets {self.first_offset} {self.last_offset}\n"
            f"chain {_encoded(self.chain_hash)}\nprevious {_encoded(self.previous)}\n"
        )


def read_checkpoint(text: str) -> Checkpoint:
    """Read a text that ``Checkpoint.text`` wrote. Raises CheckpointInvalid for any other."""
    found = _TEXT.fullmatch(text)
    if not found:
        raise CheckpointInvalid("it is no checkpoint of the audit log")
    day, size, root, *numbers, chain, previous = found.groups()
    sequence, time_ms, first_record, records, first_offset, last_offset = map(int, numbers)
    try:
        checkpoint = Checkpoint(
            sequence=sequence,
            time_ms=time_ms,
            day=number_of(date.fromisoformat(day)),
            first_record=first_record,
            records=records,
            first_offset=first_offset,
            last_offset=last_offset,
            root=_decoded(root),
            chain_hash=_decoded(chain),
            previous=_decoded(previous),
        )
    except (ValueError, binascii.Error):
        raise CheckpointInvalid("it is no checkpoint of the audit log") from None
    if checkpoint.size != int(size) or checkpoint.size <= 0 or checkpoint.text != text:
        raise CheckpointInvalid("it contradicts itself")
    return checkpoint


def origin_of(note: str) -> str:
    """The first line of a note, under whose name it has to be signed."""
    return note.partition("\n")[0]


def note_hash(note: str) -> bytes:
    """What the next checkpoint repeats of this one: SHA-256 of its text, since signatures may be added to a note."""
    text, _, _ = note.rpartition("\n\n")
    return sha256(f"{text}\n".encode()).digest()


def _encoded(data: bytes) -> str:
    return base64.b64encode(data).decode()


def _decoded(text: str) -> bytes:
    return base64.b64decode(text, validate=True)
