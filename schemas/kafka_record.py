"""What is used of a Kafka record, whoever's client brought it."""

from __future__ import annotations

from typing import Protocol


class KafkaRecord(Protocol):
    """Where a record stood, and what it is."""

    @property
    def topic(self) -> str: ...
    @property
    def partition(self) -> int: ...
    @property
    def offset(self) -> int: ...
    @property
    def key(self) -> bytes | None: ...
    @property
    def value(self) -> bytes | None: ...
