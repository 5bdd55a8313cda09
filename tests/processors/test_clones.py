"""Two machines with one identity are told apart from reboots, clocks that were set, and heartbeats that were late."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator

from hypothesis import given
from hypothesis import strategies as st

from processors.clones import RETURNS, TOLERANCE_MS, Boots, observe
from processors.settings import ProcessorSettings
from schemas.topics import ALERTS, HEARTBEATS
from tests.processors.harness import Lab, evidence, working
from tests.processors.samples import a_client, heartbeat, now_ms

MINUTE_MS, DAY_MS = 60_000, 86_400_000
Beat = tuple[float, int, int]
"""Uptime (s), time by the client, time by the edge."""


def machine(booted_ms: int, times: Iterable[int], client_ahead_ms: int = 0, late_ms: int = 0) -> Iterator[Beat]:
    """Heartbeats of one machine."""
    for now in times:
        yield (now - booted_ms) / 1000, now + client_ahead_ms, now + late_ms


def alarms(beats: Iterable[Beat]) -> list[int]:
    """When the alarm was raised."""
    state: Boots | None = None
    found = []
    for beat in beats:
        state, alarm = observe(state, *beat)
        found += [beat[2]] if alarm else []
    return found


def interleaved(*machines: Iterable[Beat]) -> list[Beat]:
    return sorted((beat for each in machines for beat in each), key=lambda beat: beat[2])


def test_two_machines_are_one_alarm_a_day() -> None:
    start = 20_000 * DAY_MS
    times = range(start, start + 2 * DAY_MS, 30_000)
    first = machine(start - DAY_MS, times)
    second = machine(start - 3_600_000, [at + 15_000 for at in times])
    found = alarms(interleaved(first, second))
    assert [at // DAY_MS for at in found] == [20_000, 20_001]
    assert found[0] - start < RETURNS * MINUTE_MS + 30_000


def test_the_clocks_of_clones_may_differ() -> None:
    times = range(DAY_MS, DAY_MS + 600_000, 30_000)
    first = machine(0, times, client_ahead_ms=-200_000)
    second = machine(DAY_MS - 10_000_000, [at + 7_000 for at in times], client_ahead_ms=100_000)
    assert len(alarms(interleaved(first, second))) == 1


def test_reboots_are_none() -> None:
    boots = [number * 3_600_000 for number in range(1, 20)]
    beats = [beat for boot in boots for beat in machine(boot, range(boot + 1_000, boot + 3_500_000, 30_000))]
    assert alarms(beats) == []


@given(st.lists(st.integers(-10_000_000, 10_000_000), min_size=2, max_size=30))
def test_a_clock_that_is_set_again_and_again_is_none(ahead: list[int]) -> None:
    beats = [
        beat for number, each in enumerate(ahead) for beat in machine(0, [DAY_MS + number * 30_000], client_ahead_ms=each)
    ]
    assert alarms(beats) == []


@given(st.lists(st.integers(0, 5 * MINUTE_MS), min_size=2, max_size=30))
def test_heartbeats_that_are_sent_late_are_none(late: list[int]) -> None:
    beats = [beat for number, each in enumerate(late) for beat in machine(0, [DAY_MS + number * 30_000], late_ms=each)]
    assert alarms(beats) == []


def test_one_return_is_an_accident() -> None:
    times = [DAY_MS + number * 30_000 for number in range(6)]
    beats = [*machine(0, times[:2]), *machine(DAY_MS - 1_000_000, times[2:3]), *machine(0, times[3:])]
    assert alarms(beats) == []


def test_what_is_within_the_tolerance_is_the_same_boot() -> None:
    times = [DAY_MS + number * 30_000 for number in range(20)]
    beats = [beat for number, at in enumerate(times) for beat in machine((number % 2) * TOLERANCE_MS, [at])]
    assert alarms(beats) == []


@given(st.lists(st.tuples(st.floats(0), st.integers(0, 2**50), st.integers(0, 2**50)), max_size=20))
def test_any_numbers_are_taken(beats: list[Beat]) -> None:
    alarms([*beats, (math.inf, 0, 0), (math.inf, 1, 1), (0.0, 2, 2)])


async def test_the_worker_raises_the_alarm(settings: ProcessorSettings, lab: Lab) -> None:
    name, now = a_client(), now_ms()
    async with working(settings):
        for number in range(2 * RETURNS + 1):
            uptime = 500_000.0 if number % 2 == 0 else 100.0
            at = now + number
            await lab.send(HEARTBEATS, heartbeat(name, uptime=uptime, timestamp=at, received_at=at, interval_ms=60_000))
        [alert] = await lab.wait_for(ALERTS, client_id=name)
    assert (alert["rule"], alert["severity"], alert["status"]) == ("identity_clone", "high", "firing")
    assert evidence(alert)["newer_boot"] - evidence(alert)["older_boot"] > TOLERANCE_MS
