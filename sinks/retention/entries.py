"""Entries of the manifest as the text that is signed, and back. Pure.

An entry is a signed note (c2sp.org/signed-note, Ed25519) of four lines: what it is of, its number, the hash of the entry
before, and what it says, as JSON.
"""

from __future__ import annotations

import base64
import binascii
import re
from enum import StrEnum
from hashlib import sha256

import msgspec

from sinks.errors import ManifestInvalid

ORIGIN = "viworks/retention"
FIRST_PREVIOUS = bytes(32)
MOST_PARTS = 40
"""Of one entry: a note is 16 KiB at most."""

_TEXT = re.compile(rf"{ORIGIN}\n(0|[1-9][0-9]{{0,17}})\n([A-Za-z0-9+/]{{43}}=)\n(\{{[^\n]*\}})\n")


class Step(StrEnum):
    """``intent`` comes before a drop; the others say what became of it."""

    INTENT = "intent"
    DONE = "done"
    FAILED = "failed"


class Reason(StrEnum):
    """Why rows went. ``ttl`` and ``unexplained`` were found gone: by ClickHouse's own TTL, or by nothing that is known."""

    RETENTION = "retention"
    TTL = "ttl"
    HOLD_RELEASE = "hold_release"
    ERASURE = "erasure"
    UNEXPLAINED = "unexplained"


class Span(msgspec.Struct, frozen=True):
    """First and last of something, both included."""

    first: int
    last: int


class Dropped(msgspec.Struct, frozen=True, omit_defaults=True):
    """What an entry is about.

    Attributes:
        parts: by name; none where rows of any part were deleted.
        times: of the column that retention counts from, in milliseconds; null where there is no row.
        offsets: by Kafka partition.
        cause: the hold or the order that it was done for.
    """

    table: str
    reason: Reason
    partition: str = ""
    parts: tuple[str, ...] = ()
    rows: int = 0
    bytes: int = 0
    times: Span | None = None
    offsets: dict[int, Span] = {}
    cause: str = ""


class Entry(msgspec.Struct, frozen=True, omit_defaults=True):
    """One entry. ``intent`` is the number of the entry that it completes, -1 for none; ``fault`` says why it failed."""

    sequence: int
    time_ms: int
    step: Step
    dropped: Dropped
    intent: int = -1
    fault: str = ""


def text_of(entry: Entry, previous: bytes) -> str:
    """What is signed."""
    before = base64.b64encode(previous).decode()
    return f"{ORIGIN}\n{entry.sequence}\n{before}\n{msgspec.json.encode(entry).decode()}\n"


def read_entry(note: str) -> tuple[Entry, bytes]:
    """The entry of a note and the hash of the one before, without asking who signed it. Raises ManifestInvalid."""
    found = _TEXT.fullmatch(note.rpartition("\n\n")[0] + "\n")
    if not found:
        raise ManifestInvalid("it is no entry of the manifest")
    number, before, body = found.groups()
    try:
        entry, previous = msgspec.json.decode(body, type=Entry), base64.b64decode(before, validate=True)
    except (msgspec.DecodeError, binascii.Error, RecursionError):
        raise ManifestInvalid("it is no entry of the manifest") from None
    if entry.sequence != int(number):
        raise ManifestInvalid("it contradicts itself")
    return entry, previous


def note_hash(note: str) -> bytes:
    """What the next entry repeats of this one: SHA-256 of its text, since signatures may be added to a note."""
    return sha256((note.rpartition("\n\n")[0] + "\n").encode()).digest()


def joined(spans: list[Span]) -> Span | None:
    """From the first of all to the last of all; None of none."""
    return Span(min(each.first for each in spans), max(each.last for each in spans)) if spans else None
