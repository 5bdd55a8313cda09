"""The state machine and the fleet of a partition, without Kafka, against an oracle that looks at everybody at every tick."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from processors import liveness
from processors.fleet import FleetPartition
from processors.liveness import ClientState, Heartbeat, Transition
from processors.watermark import ClockLimits
from schemas import codec

GRACE = 200
LIMITS = ClockLimits(silence_ms=10_000, gap_ms=5_000)
EDGE = "e"


def beat(
    at: int, status: str = "online", client: str = "c", interval: int = 1_000, received: int | None = None
) -> Heartbeat:
    return Heartbeat(client, at, status, interval, at if received is None else received)


class Fleet:
    """A partition, and all transitions that came out of it."""

    def __init__(self, restored: list[Transition] | None = None) -> None:
        self.partition = FleetPartition(GRACE, LIMITS, restored or [])
        self.seen: list[Transition] = []

    def beat(self, *args: Any, **kwargs: Any) -> list[str]:
        found = self.partition.heartbeat(beat(*args, **kwargs))
        return self._keep([found] if found else [])

    def tick(self, at: int) -> list[str]:
        return self._keep(self.partition.tick(EDGE, at)[0])

    def _keep(self, found: list[Transition]) -> list[str]:
        self.seen += found
        return [f"{each.client_id} {each.current.state} {each.current.reason}" for each in found]


@pytest.mark.parametrize(
    ("first", "then", "expected"),
    [
        ("online", "online", None),
        ("online", "error", ("error", "reported")),
        ("online", "maintenance", ("maintenance", "reported")),
        ("online", "offline", ("offline", "reported")),
        ("offline", "online", ("online", "heartbeat")),
        ("maintenance", "online", ("online", "heartbeat")),
        ("error", "error", None),
    ],
)
def test_what_heartbeats_report(first: str, then: str, expected: tuple[str, str] | None) -> None:
    state, changed = liveness.on_heartbeat(None, beat(1, first))
    assert changed
    after, changed = liveness.on_heartbeat(state, beat(2, then))
    assert after is not None
    assert changed == (expected is not None)
    assert expected is None or (after.state, after.reason) == expected


@pytest.mark.parametrize("at", [5, 4])
def test_a_heartbeat_not_newer_than_the_last_changes_nothing(at: int) -> None:
    state, _ = liveness.on_heartbeat(None, beat(5))
    assert liveness.on_heartbeat(state, beat(at, "error", received=9_000)) == (state, False)


def test_offline_at_the_deadline_and_back_with_the_next_heartbeat() -> None:
    fleet = Fleet()
    fleet.tick(0)
    assert fleet.beat(100) == ["c online heartbeat"]
    assert fleet.tick(3_299) == []
    assert fleet.tick(3_300) == ["c offline missed_heartbeats"]
    assert fleet.tick(3_400) == []
    assert fleet.beat(3_450) == ["c online heartbeat"]
    offline = liveness.to_record(fleet.seen[1])
    assert offline == {
        "client_id": "c",
        "state": "offline",
        "previous_state": "online",
        "reason": "missed_heartbeats",
        "timestamp": 3_300,
        "last_heartbeat": 100,
        "interval_ms": 1_000,
        "deadline": 3_300,
        "watermark": 3_300,
        "heartbeat_timestamp": 100,
    }
    assert codec.decode_as("liveness", codec.encode("liveness", offline)).items() >= offline.items()


@pytest.mark.parametrize(("status", "due"), [("online", True), ("error", True), ("offline", False), ("maintenance", False)])
def test_who_may_be_silent(status: str, due: bool) -> None:
    fleet = Fleet()
    fleet.tick(0)
    fleet.beat(100, status)
    assert bool(fleet.tick(4_000)) == due


def test_a_missing_client_that_says_goodbye_is_no_longer_missing() -> None:
    fleet = Fleet()
    fleet.tick(0)
    fleet.beat(100)
    fleet.tick(4_000)
    assert fleet.beat(4_100, "offline") == ["c offline reported"]
    assert fleet.tick(9_000) == []


def test_a_client_that_has_not_heard_of_a_shorter_interval_is_not_offline() -> None:
    fleet = Fleet()
    fleet.tick(0)
    fleet.beat(100, interval=4_000)
    for at in (1_500, 3_000):
        fleet.tick(at)
    assert fleet.beat(4_100, interval=500) == []
    for at in (5_500, 7_000, 8_000):
        assert fleet.tick(at) == []
    fleet.beat(8_100, interval=500)
    assert fleet.beat(8_600, interval=500) == ["c online heartbeat"]  # now it keeps the new one
    assert fleet.tick(10_300) == ["c offline missed_heartbeats"]


def test_a_shorter_interval_that_is_kept_counts_and_is_persisted() -> None:
    fleet = Fleet()
    fleet.tick(0)
    fleet.beat(100, interval=4_000)
    assert fleet.beat(200, interval=500) == ["c online heartbeat"]
    assert fleet.tick(1_900) == ["c offline missed_heartbeats"]


def test_a_blind_span_gives_everybody_a_fresh_deadline() -> None:
    fleet = Fleet()
    fleet.tick(0)
    fleet.beat(100)
    found, blind = fleet.partition.tick(EDGE, 60_000)
    assert (found, blind) == ([], (0, 60_000))
    assert fleet.tick(63_199) == []
    assert fleet.tick(63_200) == ["c offline missed_heartbeats"]
    assert fleet.seen[-1].deadline == 63_200


def test_while_nothing_ticks_nobody_goes_offline_whatever_else_comes_in() -> None:
    fleet = Fleet()
    fleet.tick(0)
    fleet.beat(100)
    for at in range(1_000, 60_000, 1_000):
        fleet.beat(at, client="other")
    assert [each.current.state for each in fleet.seen] == ["online", "online"]


def persisted(fleet: Fleet) -> list[Transition]:
    newest = {each.client_id: liveness.to_record(each) for each in fleet.seen}
    return [liveness.from_record(record) for record in newest.values()]


def test_after_a_restart_an_online_client_gets_a_fresh_deadline() -> None:
    before = Fleet()
    before.tick(0)
    before.beat(100)
    after = Fleet(persisted(before))
    assert after.tick(50_000) == []
    assert after.tick(53_199) == []
    assert after.tick(53_200) == ["c offline missed_heartbeats"]


def test_after_a_restart_a_missing_client_is_still_known_as_missing() -> None:
    before = Fleet()
    before.tick(0)
    before.beat(100)
    before.tick(3_400)
    after = Fleet(persisted(before))
    assert after.tick(4_000) == []
    after.beat(4_100)
    previous = after.seen[-1].previous
    assert previous is not None
    assert liveness.is_missing(previous)
    assert previous.last_heartbeat == 100


def test_a_verdict_whose_tick_is_read_again_after_a_crash_is_given_again() -> None:
    before = Fleet()
    before.tick(0)
    before.beat(100)
    before.tick(3_400)
    after = Fleet(persisted(before))
    assert after.tick(3_400) == ["c offline missed_heartbeats"]
    assert liveness.to_record(after.seen[0]) == liveness.to_record(before.seen[1])
    assert after.tick(3_500) == []


CLIENTS = ("a", "b", "c")
Step = tuple[str, ...]

steps = st.lists(
    st.one_of(
        st.tuples(st.just("wait"), st.integers(0, 2_500)),
        st.tuples(st.just("tick")),
        st.tuples(
            st.just("beat"),
            st.sampled_from(CLIENTS),
            st.sampled_from(["online", "online", "online", "offline", "maintenance", "error"]),
            st.sampled_from([500, 1_000, 3_000]),
            st.integers(-1_500, 0),
        ),
    ),
    max_size=60,
)


class Oracle:
    """Says at every tick, for every client, what the words of the protocol say; no heap, no schedule."""

    def __init__(self) -> None:
        self.clients: dict[str, ClientState] = {}
        self.watermark = 0
        self.floor = 0

    def beat(self, each: Heartbeat) -> None:
        known = self.clients.get(each.client_id)
        if known and each.timestamp <= known.heartbeat_timestamp:
            return
        reason = "heartbeat" if each.status == "online" else "reported"
        received = max(each.received_at, known.last_heartbeat if known else 0)
        interval = each.interval_ms
        if known and known.interval_ms > interval and each.received_at > known.last_heartbeat + 2 * interval:
            interval = known.interval_ms
        self.clients[each.client_id] = ClientState(each.status, reason, received, each.timestamp, interval)

    def tick(self, at: int) -> None:
        if at - self.watermark > LIMITS.gap_ms:
            self.floor = at
        self.watermark = at
        for name, state in self.clients.items():
            deadline = max(state.last_heartbeat, self.floor) + 3 * state.interval_ms + GRACE
            if state.state in ("online", "error") and deadline <= at:
                self.clients[name] = state._replace(state="offline", reason="missed_heartbeats")


def heartbeats_of(script: list[Any]) -> Iterator[tuple[str, Any]]:
    now = 1_000
    for step in script:
        if step[0] == "wait":
            now += step[1]
        elif step[0] == "tick":
            yield "tick", now
        else:
            _, client, status, interval, behind = step
            yield "beat", Heartbeat(client, now + behind, status, interval, now)


@settings(max_examples=300)
@given(steps)
def test_the_fleet_agrees_with_the_oracle(script: list[Any]) -> None:
    fleet, oracle = FleetPartition(GRACE, LIMITS), Oracle()
    fleet.tick(EDGE, 0)
    told: dict[str, ClientState] = {}
    for kind, value in heartbeats_of(script):
        found = []
        if kind == "tick":
            oracle.tick(value)
            found, _ = fleet.tick(EDGE, value)
        else:
            oracle.beat(value)
            transition = fleet.heartbeat(value)
            found = [transition] if transition else []
        told |= {each.client_id: each.current for each in found}
        assert {name: (state.state, state.reason, state.interval_ms) for name, state in told.items()} == {
            name: (state.state, state.reason, state.interval_ms) for name, state in oracle.clients.items()
        }
