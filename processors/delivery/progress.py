"""What is done and what is not. Records of a partition end in any order, and Kafka keeps one offset for each partition.

The offset that is committed is that of the oldest record that is not done. The text that Kafka keeps beside it says which
ones behind it are not done either, so that a restart repeats no alert that stood behind one that nobody takes.
"""

from __future__ import annotations

import re
from collections import OrderedDict
from itertools import accumulate
from typing import NamedTuple

_MOST_CHARACTERS = 3_500  # Kafka takes 4096 bytes (offset.metadata.max.bytes)
_NOTE = re.compile(r"1;(\d{1,18});((?:\d{1,18},)*)")


class Checkpoint(NamedTuple):
    """Where to go on after a restart, and the text beside it; empty where there is nothing to say or too much."""

    offset: int
    note: str


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

    def checkpoints(self) -> dict[int, Checkpoint]:
        """What to commit, by partition."""
        return {number: _checkpoint(list(self._pending.get(number, ())), after) for number, after in self._next.items()}

    def oldest_ms(self) -> int | None:
        """When the oldest record under way was written; None where nothing is."""
        return min((next(iter(pending.values())) for pending in self._pending.values() if pending), default=None)

    def clear(self) -> None:
        """Partitions were given up."""
        self._pending.clear()
        self._next.clear()


class DoneBefore:
    """What earlier owners of a partition have done, up to (excluding) ``end``. A text that is none of ours says nothing."""

    def __init__(self, checkpoint: Checkpoint) -> None:
        match = _NOTE.fullmatch(checkpoint.note[:_MOST_CHARACTERS])
        self.end = checkpoint.offset + int(match[1]) if match else checkpoint.offset
        steps = [int(step) for step in match[2].split(",") if step] if match else []
        self._pending = {checkpoint.offset + step for step in accumulate(steps)}

    def covers(self, offset: int) -> bool:
        """Whether the record is done."""
        return offset < self.end and offset not in self._pending


def _checkpoint(pending: list[int], after: int) -> Checkpoint:
    """``1;`` how far it goes beyond the offset ``;`` steps from each record under way to the next, each with a comma."""
    if not pending:
        return Checkpoint(after, "")
    start = pending[0]
    steps = "".join(f"{offset - before}," for before, offset in zip([start, *pending], pending, strict=False))
    note = f"1;{after - start};{steps}"
    return Checkpoint(start, note if len(note) <= _MOST_CHARACTERS else "")
