"""Faust tables of raw bytes whose writes can be awaited."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator, Mapping
from typing import Any

import faust

from schemas.topics import PARTITIONS, Topic


class ChangelogTable:
    """A Faust table of bytes by bytes, recovered from its changelog.

    Faust's own ``table[key] = value`` drops the future of the changelog's write, so that nobody can wait for it.

    Args:
        changelog: a topic of the contract that is the changelog at once; None for one that Faust names and creates.
        partitions: as many as the inputs that it is written for have.
    """

    def __init__(self, app: faust.App, name: str, changelog: Topic | None = None, partitions: int = PARTITIONS) -> None:
        topic = None
        if changelog is not None:
            topic = app.topic(
                changelog.name,
                key_serializer="raw",
                value_serializer="raw",
                partitions=changelog.partitions,
                config=changelog.config(),
            )
        self._table: Any = app.Table(
            name,
            key_type=bytes,
            value_type=bytes,
            partitions=changelog.partitions if changelog else partitions,
            changelog_topic=topic,
        )

    def get(self, key: bytes) -> bytes | None:
        """The value of a key."""
        value: bytes | None = self._table.data.get(key)
        return value

    def put(self, partition: int, key: bytes, value: bytes) -> Awaitable[Any]:
        """Set a key; the awaitable ends when the changelog has it. ``partition`` is that of the key's input."""
        self._table.data[key] = value
        written: Awaitable[Any] = self._table.send_changelog(partition, key, value)
        return written

    def delete(self, partition: int, key: bytes) -> Awaitable[Any]:
        """Forget a key; the awaitable ends when the changelog has its tombstone."""
        self._table.data.pop(key, None)
        written: Awaitable[Any] = self._table.send_changelog(partition, key, None)
        return written

    def change(self, partition: int, changes: Mapping[bytes, bytes | None]) -> list[Awaitable[Any]]:
        """Set the keys, and forget those whose value is None."""
        return [
            self.delete(partition, key) if value is None else self.put(partition, key, value)
            for key, value in changes.items()
        ]

    def items(self) -> Iterator[tuple[bytes, bytes]]:
        """All keys and values that this worker has recovered or set."""
        return iter(self._table.data.items())

    def on_recovered(self, callback: Callable[[], None]) -> None:
        """Call after every recovery, before the first event that follows it."""

        async def recovered() -> None:
            callback()

        self._table.on_recover(recovered)
