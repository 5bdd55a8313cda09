"""What stands on the dead letter topic: letters, and marks that say which of them were written back. Pure.

A letter is a record nobody could use, as it came, under headers that say where it stood and which class of error it led to.
All of a letter may be hostile, the values of its headers too: what is shown of them is printable and short.
"""

from __future__ import annotations

from collections.abc import Iterable
from enum import StrEnum
from typing import NamedTuple

from aiokafka import ConsumerRecord

from schemas import codec
from schemas.dead_letters import ERROR, OFFSET, OMITTED, PARTITION, RECEIVER, TOPIC
from schemas.errors import CodecError
from schemas.registry import schema_by_id
from schemas.topics import DLQ, TOPICS, Topic

MARK, REQUEST, STAGE = "replay-of", "request", "stage"
REPLAYED_FROM = "replayed-from"
MOST_CHARACTERS = 120
_MOST_HEADERS = 24
_MOST_DIGITS = 19
# What one can write back: a topic that keeps only the newest record of each key would lose it to the old one.
_REPLAYABLE = {topic.name: topic for topic in TOPICS if topic is not DLQ and not topic.compacted}
_COMPACTED = frozenset(topic.name for topic in TOPICS if topic.compacted)


class Stage(StrEnum):
    """How far the replay of a letter is: one that was begun by a command that ended early may have been written, or not."""

    BEGUN = "begun"
    DONE = "done"


class Mark(NamedTuple):
    """Of the letter at ``letter``, made by the command ``request``."""

    letter: int
    request: str
    stage: Stage


class Letter(NamedTuple):
    """A letter without its value. Texts are printable; ``partition`` and ``source``, its offset there, may be lost."""

    offset: int
    timestamp: int
    topic: str
    partition: int | None
    source: int | None
    error: str
    receiver: bytes | None
    omitted: bool
    key: bytes | None
    value_bytes: int | None
    schema: str
    headers: tuple[tuple[str, str], ...]


def read(record: ConsumerRecord) -> Letter | Mark:
    """What a record of the dead letter topic is."""
    headers = {str(name): bytes(value or b"") for name, value in record.headers}
    return _mark(headers) or Letter(
        offset=record.offset,
        timestamp=record.timestamp,
        topic=printable(headers.get(TOPIC, b"")),
        partition=_number(headers.get(PARTITION, b"")),
        source=_number(headers.get(OFFSET, b"")),
        error=printable(headers.get(ERROR, b"")),
        receiver=headers.get(RECEIVER),
        omitted=OMITTED in headers,
        key=record.key,
        value_bytes=None if record.value is None else len(record.value),
        schema=_schema(record.value),
        headers=tuple(_shown(record.headers)),
    )


def destination(letter: Letter) -> tuple[Topic, int | None]:
    """Where a letter goes back to: the topic, and the partition where no key decides it.

    Raises:
        ValueError: nowhere, and why.
    """
    topic = _REPLAYABLE.get(letter.topic)
    if letter.topic in _COMPACTED:
        raise ValueError(f"{letter.topic} keeps the newest record of each key, which this one would undo")
    if topic is None:
        raise ValueError("its topic is not one of the contract")
    if letter.omitted:
        raise ValueError("it was too large for a letter; it may still stand on its own topic")
    if letter.key is not None:
        return topic, None
    if letter.partition is None or letter.partition >= topic.partitions:
        raise ValueError("it has no key, and no partition of its topic")
    return topic, letter.partition


def mark_headers(mark: Mark) -> list[tuple[str, bytes]]:
    """The headers of a record that says it; it needs no value."""
    return [(MARK, str(mark.letter).encode()), (REQUEST, mark.request.encode()), (STAGE, mark.stage.value.encode())]


def printable(raw: bytes) -> str:
    """Bytes of anybody as a short text that does nothing to a terminal."""
    text = raw[: 4 * MOST_CHARACTERS].decode(errors="backslashreplace")
    shown = "".join(char if char.isprintable() else f"\\u{ord(char):04x}" for char in text[:MOST_CHARACTERS])
    return shown[:MOST_CHARACTERS]


def _mark(headers: dict[str, bytes]) -> Mark | None:
    letter, stage = _number(headers.get(MARK, b"")), printable(headers.get(STAGE, b""))
    if letter is None or stage not in set(Stage):
        return None
    return Mark(letter, printable(headers.get(REQUEST, b"")), Stage(stage))


def _number(raw: bytes) -> int | None:
    return int(raw) if raw.isdigit() and len(raw) <= _MOST_DIGITS else None


def _schema(value: bytes | None) -> str:
    """The name of the schema that the value says it has; empty where it is not in the wire format."""
    try:
        return schema_by_id(codec.schema_id_of(value)).name
    except CodecError:
        return ""


def _shown(headers: Iterable[tuple[str, bytes]]) -> list[tuple[str, str]]:
    pairs = list(headers)[:_MOST_HEADERS]
    return [(printable(str(name).encode(errors="replace")), printable(bytes(value or b""))) for name, value in pairs]
