"""The clock of the rules: how far all partitions of the heartbeats have proved to have seen. Pure.

Each partition writes its watermark among the signals, after those that it led to. The least of them is the clock, since
what any partition still has to say may be as old as its own watermark.
"""

from __future__ import annotations

from schemas.topics import HEARTBEATS

_PREFIX = "partition-"


def watermark_name(partition: int) -> str:
    """What a partition calls itself in its ticks."""
    return f"{_PREFIX}{partition}"


class SignalClock:
    """``now_ms`` is None until it was ever known; it stands still until all partitions have spoken, and never goes back."""

    def __init__(self, now_ms: int | None = None, partitions: int = HEARTBEATS.partitions) -> None:
        self.now_ms = now_ms
        self._watermarks: dict[str, int | None] = {watermark_name(number): None for number in range(partitions)}

    def observe(self, name: str, watermark_ms: int) -> bool:
        """Take a partition's watermark into account; whether the clock went on. A name that is none changes nothing."""
        if name not in self._watermarks:
            return False
        self._watermarks[name] = max(watermark_ms, self._watermarks[name] or watermark_ms)
        known = [value for value in self._watermarks.values() if value is not None]
        if len(known) < len(self._watermarks) or min(known) <= (self.now_ms or 0):
            return False
        self.now_ms = min(known)
        return True
