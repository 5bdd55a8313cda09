"""Which offsets may be committed: those before the oldest record that is not done. Records end in any order."""

from __future__ import annotations

from collections import OrderedDict


class Progress:
    """``take`` in the order of the offsets, ``finish`` in any. Times are those of the records, in ms."""

    def __init__(self) -> None:
        self._pending: dict[int, OrderedDict[int, int]] = {}
        self._next: dict[int, int] = {}

    def __len__(self) -> int:
        return sum(len(pending) for pending in self._pending.values())

    def take(self, partition: int, offset: int, timestamp_ms: int) -> None:
        """A record is under way."""
        self._pending.setdefault(partition, OrderedDict())[offset] = timestamp_ms
        self._next[partition] = offset + 1

    def finish(self, partition: int, offset: int) -> None:
        """It is delivered, dead or left out. One that is not known (any more) is ignored."""
        self._pending.get(partition, OrderedDict()).pop(offset, None)

    def committable(self) -> dict[int, int]:
        """By partition the offset from which to go on after a restart."""
        return {number: next(iter(self._pending.get(number, ())), after) for number, after in self._next.items()}

    def oldest_ms(self) -> int | None:
        """When the oldest record under way was written; None where nothing is."""
        return min((next(iter(pending.values())) for pending in self._pending.values() if pending), default=None)

    def clear(self) -> None:
        """Partitions were given up."""
        self._pending.clear()
        self._next.clear()
