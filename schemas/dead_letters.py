"""What a dead letter says of the record it was: the contract of those who write letters and those who read them."""

from __future__ import annotations

from typing import NamedTuple

from schemas.kafka_record import KafkaRecord

TOPIC, PARTITION, OFFSET, ERROR = "topic", "partition", "offset", "error"
RECEIVER = "receiver"
OMITTED = "omitted"
# A record may be as large as Kafka takes one by default, 1 MB. With a letter's headers it would be larger, and what cannot
# be written would hold up all that comes after it. The record itself stays on its own topic.
MOST_BYTES, MOST_KEY_BYTES = 1_000_000, 1_024


class Letter(NamedTuple):
    """A record for the dead letter topic."""

    key: bytes | None
    value: bytes | None
    headers: tuple[tuple[str, bytes], ...]


def letter(record: KafkaRecord, error: str) -> Letter:
    """The record as it came, under headers that say where it stood and which class of error it led to, never a value.

    One that is too large comes without its content, and the header ``omitted`` says how many bytes it had.
    """
    headers = {TOPIC: record.topic, PARTITION: str(record.partition), OFFSET: str(record.offset), ERROR: error}
    key, value = record.key, record.value
    size = len(key or b"") + len(value or b"")
    if size > MOST_BYTES:
        headers[OMITTED] = str(size)
        key, value = key if key and len(key) <= MOST_KEY_BYTES else None, b""
    if key is None and value is None:
        value = b""  # Kafka's clients write no record that has neither
    return Letter(key, value, tuple((name, text.encode()) for name, text in headers.items()))
