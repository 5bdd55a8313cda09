"""The liveness clock of one partition (DESIGN §2): it advances only with what the pipeline has proved to have seen.

A tick of edge E with time T proves that all heartbeats which E accepted before T stand before it in this partition. So the
watermark is the least of the live edges' newest ticks. Pure.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import NamedTuple


class ClockLimits(NamedTuple):
    """``silence_ms``: an edge this far behind the newest tick is gone. ``gap_ms``: a longer step is a blind span."""

    silence_ms: int
    gap_ms: int


class BlindSpan(NamedTuple):
    """Between these watermarks (ms) it is unknown whether heartbeats could come in."""

    start_ms: int
    end_ms: int


@dataclass(frozen=True, slots=True)
class PartitionClock:
    """``ticks``: the newest tick of each live edge, in ms. ``watermark_ms`` is None until the first tick."""

    ticks: Mapping[str, int] = field(default_factory=dict)
    watermark_ms: int | None = None


def advance(
    clock: PartitionClock, edge: str, timestamp_ms: int, limits: ClockLimits
) -> tuple[PartitionClock, BlindSpan | None]:
    """Take a tick into account. The watermark never goes back; a redelivered tick changes nothing.

    Silence is measured against the other edges' ticks, never against a clock of our own: where no edge ticks, the
    watermark stands still, and lag looks like nothing at all.
    """
    ticks = {**clock.ticks, edge: max(timestamp_ms, clock.ticks.get(edge, timestamp_ms))}
    newest = max(ticks.values())
    live = {name: tick for name, tick in ticks.items() if newest - tick <= limits.silence_ms}
    before = clock.watermark_ms
    after = max(before or 0, min(live.values()))
    blind = BlindSpan(before, after) if before is not None and after - before > limits.gap_ms else None
    return PartitionClock(live, after), blind
