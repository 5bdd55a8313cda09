"""State machines with one fault each, to see that the simulator finds it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

from processors import fleet, liveness, liveness_steps, watermark
from processors.checkpoint import Checkpoint
from processors.liveness import ClientState, Heartbeat
from processors.watermark import BlindSpan, ClockLimits, PartitionClock, Tick

Patch = tuple[object, str, Any]

_on_heartbeat, _due_ms, _advance = liveness.on_heartbeat, liveness.due_ms, watermark.advance
_ordered, _checkpoint = liveness_steps._ordered, fleet.FleetPartition.checkpoint


def _takes_duplicates(state: ClientState | None, beat: Heartbeat, heard_ms: int) -> tuple[ClientState, bool]:
    return _on_heartbeat(state._replace(heartbeat_timestamp=0) if state else None, beat, heard_ms)


def _knows_no_clock_that_was_set_back(*_: object) -> bool:
    return False


def _takes_a_shorter_interval_at_once(_: ClientState, beat: Heartbeat, __: int) -> int:
    return beat.interval_ms


def _renews_maintenance(state: ClientState | None, beat: Heartbeat, heard_ms: int) -> tuple[ClientState, bool]:
    after, changed = _on_heartbeat(state, beat, heard_ms)
    return (after._replace(since=heard_ms) if after is not state and after.state == liveness.MAINTENANCE else after), changed


def _blames_for_blind_spans(state: ClientState, _: int, grace_ms: int) -> int | None:
    return _due_ms(state, 0, grace_ms)


def _a_moment_too_late(state: ClientState, floor_ms: int, grace_ms: int) -> int | None:
    due = _due_ms(state, floor_ms, grace_ms)
    return None if due is None else due + 1


def _forgets_farewells(clock: PartitionClock, tick: Tick, limits: ClockLimits) -> tuple[PartitionClock, BlindSpan | None]:
    return _advance(clock, tick._replace(last=False), limits)


def _doubts_nobody(*_: object) -> bool:
    return False


def _follows_the_fastest(clock: PartitionClock, tick: Tick, limits: ClockLimits) -> tuple[PartitionClock, BlindSpan | None]:
    after, blind = _advance(clock, tick, limits)
    return replace(after, watermark_ms=max(after.watermark_ms or 0, *after.ticks.values(), 0)), blind


def _keeps_the_clock_first(*arguments: Any) -> Iterator[liveness_steps.Step]:
    found = list(_ordered(*arguments))
    return iter([each for each in found if each.checkpoint] + [each for each in found if not each.checkpoint])


def _tells_verdicts_first(*arguments: Any) -> Iterator[liveness_steps.Step]:
    found = list(_ordered(*arguments))
    return iter([each for each in found if each.told] + [each for each in found if not each.told])


def _tells_nothing_again(_: fleet.FleetPartition) -> list[liveness.Transition]:
    return []


def _keeps_no_clock(self: fleet.FleetPartition, offset: int) -> tuple[Checkpoint | None, dict[str, ClientState]]:
    return None, _checkpoint(self, offset)[1]


BROKEN: dict[str, Patch] = {
    "duplicates count": (liveness, "on_heartbeat", _takes_duplicates),
    "a clock that was set back is a replay": (liveness, "_clock_was_set_back", _knows_no_clock_that_was_set_back),
    "a shorter interval counts at once": (liveness, "_acknowledged_interval_ms", _takes_a_shorter_interval_at_once),
    "maintenance is renewed": (liveness, "on_heartbeat", _renews_maintenance),
    "blind spans count as silence": (liveness, "due_ms", _blames_for_blind_spans),
    "deadlines are a millisecond late": (liveness, "due_ms", _a_moment_too_late),
    "farewells are ticks": (fleet, "advance", _forgets_farewells),
    "a clock that leaps is believed": (watermark, "_is_doubtful", _doubts_nobody),
    "the fastest edge moves the clock": (fleet, "advance", _follows_the_fastest),
    "the clock is kept before what it led to": (liveness_steps, "_ordered", _keeps_the_clock_first),
    "verdicts are told before they are persisted": (liveness_steps, "_ordered", _tells_verdicts_first),
    "nothing is told again after a crash": (fleet.FleetPartition, "untold", _tells_nothing_again),
    "no clock is kept": (fleet.FleetPartition, "checkpoint", _keeps_no_clock),
}
