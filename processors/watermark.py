"""The liveness clock of one partition (DESIGN §2): it advances only with what the pipeline has proved to have seen.

A tick of edge E with time T proves that all heartbeats which E accepted before T stand before it in this partition. So the
watermark is the least of the live edges' newest ticks. An edge that ends says so in its last tick and holds nothing up any
more. Pure.
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
    """What is known of the edges, times in ms.

    Attributes:
        ticks: the newest tick of each live edge.
        watermark_ms: None until the first tick.
        doubted: the first tick of each edge whose clock leapt away from those of all others; see ``advance``.
    """

    ticks: Mapping[str, int] = field(default_factory=dict)
    watermark_ms: int | None = None
    doubted: Mapping[str, int] = field(default_factory=dict)


class Tick(NamedTuple):
    """An edge's sign of life; after one with ``last`` nothing of it comes."""

    edge: str
    timestamp: int
    last: bool = False


def advance(clock: PartitionClock, tick: Tick, limits: ClockLimits) -> tuple[PartitionClock, BlindSpan | None]:
    """Take a tick into account. The watermark never goes back.

    Silence is measured against the other edges' ticks, never against a clock of our own: where no edge ticks, the
    watermark stands still, and lag looks like nothing at all.

    A tick that leaps away from all other edges is doubted and counts for nothing, lest one wrong clock carry the watermark
    into the future, where it would stand still until the time has caught up. It is believed once the edge has ticked on for
    ``silence_ms`` while no other edge did: then the others are gone, and its clock is the only one.
    """
    if _is_doubtful(clock, tick, limits):
        return _without(clock, tick, limits)
    known = clock.ticks.get(tick.edge)
    ticks = {**clock.ticks, tick.edge: tick.timestamp if known is None else max(tick.timestamp, known)}
    newest = max(ticks.values())
    live = {name: at for name, at in ticks.items() if newest - at <= limits.silence_ms}
    is_news = tick.edge in live and (known is None or tick.timestamp > known)
    after, blind = _stepped(PartitionClock(live, clock.watermark_ms, {} if is_news else clock.doubted), limits)
    return (_ended(after, tick.edge) if tick.last else after), blind


def _is_doubtful(clock: PartitionClock, tick: Tick, limits: ClockLimits) -> bool:
    others = [at for name, at in clock.ticks.items() if name != tick.edge]
    if not others or tick.timestamp - max(others) <= limits.silence_ms:
        return False
    known = clock.ticks.get(tick.edge)
    if known is not None and tick.timestamp - known <= limits.gap_ms:
        return False
    return tick.timestamp - clock.doubted.get(tick.edge, tick.timestamp) <= limits.silence_ms


def _without(clock: PartitionClock, tick: Tick, limits: ClockLimits) -> tuple[PartitionClock, BlindSpan | None]:
    doubted = {**clock.doubted, tick.edge: clock.doubted.get(tick.edge, tick.timestamp)}
    if tick.last:
        del doubted[tick.edge]
    rest = {name: at for name, at in clock.ticks.items() if name != tick.edge}
    return _stepped(PartitionClock(rest, clock.watermark_ms, doubted), limits)


def _stepped(clock: PartitionClock, limits: ClockLimits) -> tuple[PartitionClock, BlindSpan | None]:
    """The watermark where the ticks allow it to be."""
    before, after = clock.watermark_ms, max(clock.watermark_ms or 0, min(clock.ticks.values()))
    blind = BlindSpan(before, after) if before is not None and after - before > limits.gap_ms else None
    return PartitionClock(clock.ticks, after, clock.doubted), blind


def _ended(clock: PartitionClock, edge: str) -> PartitionClock:
    """No blind span: all that the edge accepted is proved to stand before its last tick."""
    rest = {name: at for name, at in clock.ticks.items() if name != edge}
    watermark = max(clock.watermark_ms or 0, min(rest.values(), default=0))
    return PartitionClock(rest, watermark, clock.doubted)
