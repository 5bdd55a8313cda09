"""The state machine and the fleet of a partition, without Kafka; what nobody thought of is tried in tests/simulation."""

from __future__ import annotations

from typing import Any

import pytest

from processors import liveness
from processors.checkpoint import Checkpoint
from processors.fleet import NOTHING, FleetLimits, FleetPartition, Restored
from processors.liveness import ClientState, Heartbeat, Transition
from processors.watermark import ClockLimits, Tick
from schemas import codec

LIMITS = FleetLimits(200, ClockLimits(silence_ms=10_000, gap_ms=5_000), never_came_after_ms=2_000, last_seen_every_ms=1_000)
EDGE = "e"
DAY_MS = 86_400_000


def beat(
    at: int,
    status: str = "online",
    client: str = "c",
    interval: int = 1_000,
    received: int | None = None,
    uptime: float | None = None,
    **terms: int,
) -> Heartbeat:
    return Heartbeat(client, at, status, interval, at if received is None else received, uptime, **terms)


def is_missing(state: ClientState | None) -> bool:
    """Whether an offline alert stands for the client."""
    return state is not None and (state.state, state.reason) == ("offline", "missed_heartbeats")


class Fleet:
    """A partition, and all transitions that came out of it."""

    def __init__(self, restored: Restored = NOTHING) -> None:
        self.partition = FleetPartition(LIMITS, restored)
        self.seen: list[Transition] = []

    def beat(self, *args: Any, **kwargs: Any) -> list[str]:
        found = self.partition.heartbeat(beat(*args, **kwargs))
        return self._keep([found] if found else [])

    def tick(self, at: int) -> list[str]:
        return self._keep(self.partition.tick(Tick(EDGE, at))[0])

    def untold(self) -> list[str]:
        return self._keep(self.partition.untold())

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
    state, changed = liveness.on_heartbeat(None, beat(1, first), 1)
    assert changed
    after, changed = liveness.on_heartbeat(state, beat(2, then), 2)
    assert changed == (expected is not None)
    assert expected is None or (after.state, after.reason) == expected


@pytest.mark.parametrize("at", [5, 4])
def test_a_heartbeat_not_newer_than_the_last_changes_nothing(at: int) -> None:
    state, _ = liveness.on_heartbeat(None, beat(5), 5)
    assert liveness.on_heartbeat(state, beat(at, "error"), 9_000) == (state, False)


def test_late_then_offline_at_the_deadline_and_back_with_the_next_heartbeat() -> None:
    fleet = Fleet()
    fleet.tick(0)
    assert fleet.beat(100) == ["c online heartbeat"]
    assert fleet.tick(2_299) == []
    assert fleet.tick(2_300) == ["c late late"]
    assert fleet.tick(3_299) == []
    assert fleet.tick(3_300) == ["c offline missed_heartbeats"]
    assert fleet.tick(3_400) == []
    assert fleet.beat(3_450) == ["c online heartbeat"]
    offline = liveness.to_record(fleet.seen[2])
    assert offline == {
        "client_id": "c",
        "state": "offline",
        "previous_state": "late",
        "reason": "missed_heartbeats",
        "timestamp": 3_300,
        "last_heartbeat": 100,
        "interval_ms": 1_000,
        "deadline": 3_300,
        "watermark": 3_300,
        "heartbeat_timestamp": 100,
        "since": 3_300,
        "maintenance_ms": 14_400_000,
        "gone_ms": 2_592_000_000,
        "uptime": None,
    }
    assert codec.decode_as("liveness", codec.encode("liveness", offline)) == offline


def test_a_late_client_that_comes_was_never_missing() -> None:
    fleet = Fleet()
    fleet.tick(0)
    fleet.beat(100)
    fleet.tick(2_300)
    assert fleet.beat(2_350) == ["c online heartbeat"]
    assert not is_missing(fleet.seen[-1].previous)
    assert (fleet.seen[1].deadline, fleet.seen[1].current.since, fleet.seen[2].current.since) == (3_300, 2_300, 2_350)


@pytest.mark.parametrize(
    ("status", "expected"),
    [
        ("online", ["c late late", "c offline missed_heartbeats"]),
        ("error", ["c offline missed_heartbeats"]),
        ("offline", []),
        ("maintenance", []),
    ],
)
def test_who_may_be_silent(status: str, expected: list[str]) -> None:
    fleet = Fleet()
    fleet.tick(0)
    fleet.beat(100, status)
    assert fleet.tick(4_000) == expected


def test_maintenance_ends_where_it_began_to_count_whatever_is_sent_meanwhile() -> None:
    fleet = Fleet()
    fleet.tick(0)
    fleet.beat(100, "maintenance", maintenance_ms=4_000)
    assert fleet.beat(1_100, "maintenance", maintenance_ms=4_000) == []
    assert fleet.tick(4_099) == []
    assert fleet.beat(4_050, "maintenance", maintenance_ms=4_000) == []
    assert fleet.tick(4_100) == ["c maintenance maintenance_expired"]
    assert fleet.seen[-1].current.since == 100
    assert fleet.beat(5_000, "maintenance", maintenance_ms=4_000) == []
    assert fleet.tick(8_199) == []
    assert fleet.tick(8_200) == ["c offline missed_heartbeats"]


def test_one_that_is_silent_through_its_maintenance_is_offline_at_its_end() -> None:
    fleet = Fleet()
    fleet.tick(0)
    fleet.beat(100, "maintenance", maintenance_ms=4_000)
    assert fleet.tick(4_200) == ["c maintenance maintenance_expired", "c offline missed_heartbeats"]
    assert fleet.beat(4_300, "maintenance", maintenance_ms=4_000) == ["c maintenance reported"]
    assert fleet.tick(8_299) == []


@pytest.mark.parametrize("status", ["offline", "online"])
def test_a_client_is_gone_after_the_policys_time_and_may_come_back(status: str) -> None:
    fleet = Fleet()
    fleet.tick(0)
    fleet.beat(100, status, gone_ms=4_000)
    fleet.tick(4_099)
    assert fleet.tick(4_100) == ["c gone stale"]
    assert fleet.tick(4_200) == []
    assert fleet.beat(4_300, gone_ms=4_000) == ["c online heartbeat"]
    assert fleet.tick(6_500) == ["c late late"]


def test_a_registered_client_that_never_comes_is_told_of_once() -> None:
    fleet = Fleet()
    fleet.tick(0)
    fleet.partition.expect("c", 100)
    fleet.partition.expect("c", 900)
    assert fleet.tick(2_099) == []
    assert fleet.tick(2_100) == ["c offline never_came"]
    told = fleet.seen[0]
    assert (told.previous, told.deadline, is_missing(told.current)) == (None, 2_100, False)
    fleet.partition.expect("c", 2_000)
    assert fleet.tick(9_000) == []
    assert fleet.beat(9_100) == ["c online heartbeat"]


def test_nobody_expects_one_that_came_or_need_not_come() -> None:
    fleet = Fleet()
    fleet.tick(0)
    for name in ("came", "revoked"):
        fleet.partition.expect(name, 100)
    fleet.beat(500, "offline", client="came")
    fleet.partition.expect("came", 500)
    fleet.partition.forget("revoked")
    assert fleet.tick(4_900) == []


def test_a_blind_span_gives_those_who_are_expected_their_time_again() -> None:
    fleet = Fleet()
    fleet.tick(0)
    fleet.partition.expect("c", 100)
    assert fleet.tick(60_000) == []
    assert fleet.tick(61_999) == []
    assert fleet.tick(62_000) == ["c offline never_came"]


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
    assert fleet.tick(10_300) == ["c late late", "c offline missed_heartbeats"]


def test_a_shorter_interval_that_is_kept_counts_and_is_persisted() -> None:
    fleet = Fleet()
    fleet.tick(0)
    fleet.beat(100, interval=4_000)
    assert fleet.beat(200, interval=500) == ["c online heartbeat"]
    assert fleet.tick(1_399) == []
    assert fleet.tick(1_900) == ["c late late", "c offline missed_heartbeats"]


def test_a_delayed_heartbeat_just_before_does_not_make_a_shorter_interval_kept() -> None:
    fleet = Fleet()
    fleet.tick(0)
    fleet.beat(100, interval=4_000)
    fleet.beat(4_000, received=7_900, interval=4_000)
    assert fleet.beat(8_000, interval=500) == []
    assert fleet.tick(11_000) == []


def test_other_terms_are_persisted() -> None:
    fleet = Fleet()
    fleet.beat(100)
    assert fleet.beat(200, gone_ms=DAY_MS) == ["c online heartbeat"]
    assert fleet.beat(300, gone_ms=DAY_MS) == []


@pytest.mark.parametrize(
    ("timestamp", "uptime", "counts"),
    [
        (4_000, 70.0, True),  # set back by 5 s while 10 s went by
        (4_000, 60.0, False),  # the same heartbeat again
        (4_000, 59.0, False),  # an older one
        (5_001, 0.0, True),  # a reboot
        (4_000, 131.0, False),  # of a longer boot: more than the time that went by explains
        (4_000, float("inf"), False),
        (4_000, None, False),
    ],
)
def test_a_clock_that_was_set_back_is_no_replay(timestamp: int, uptime: float | None, counts: bool) -> None:
    state, _ = liveness.on_heartbeat(None, beat(5_000, uptime=60.0), 5_000)
    after, _ = liveness.on_heartbeat(state, beat(timestamp, uptime=uptime), 15_000)
    assert (after is not state) == counts


def test_what_came_in_before_the_last_is_no_clock_that_was_set_back() -> None:
    """After a crash a heartbeat of the boot before is read again, when what followed is persisted."""
    state, _ = liveness.on_heartbeat(None, beat(5_000, uptime=0.5), 5_000)
    assert liveness.on_heartbeat(state, beat(4_000, uptime=30.0), 4_999) == (state, False)
    assert liveness.on_heartbeat(state, beat(4_000, uptime=30.0), 5_000)[1] is False
    assert liveness.on_heartbeat(state, beat(4_000, uptime=30.0), 5_000)[0] is not state


def test_where_the_uptime_is_not_known_an_older_timestamp_is_a_replay() -> None:
    state, _ = liveness.on_heartbeat(None, beat(5_000), 5_000)
    assert liveness.on_heartbeat(state, beat(4_000, uptime=70.0), 15_000) == (state, False)


def test_a_blind_span_gives_everybody_a_fresh_deadline() -> None:
    fleet = Fleet()
    fleet.tick(0)
    fleet.beat(100)
    found, blind = fleet.partition.tick(Tick(EDGE, 60_000))
    assert (found, blind) == ([], (0, 60_000))
    assert fleet.tick(62_199) == []
    assert fleet.tick(63_199) == ["c late late"]
    assert fleet.tick(63_200) == ["c offline missed_heartbeats"]
    assert fleet.seen[-1].deadline == 63_200


def test_a_farewell_that_ends_a_blind_span_gives_no_more_than_the_span() -> None:
    """What lies between the span's end and the watermark of the edge that stays is proved to have been seen."""
    fleet = Fleet()
    fleet.tick(0)
    fleet.beat(100)
    fleet.partition.tick(Tick("other", 0))
    fleet.tick(8_500)
    _, blind = fleet.partition.tick(Tick("other", 8_000, last=True))
    assert (blind, fleet.partition.watermark_ms) == ((0, 8_000), 8_500)
    fleet.tick(13_000)
    assert fleet.seen[-1].deadline == 11_200


def test_while_nothing_ticks_nobody_goes_offline_whatever_else_comes_in() -> None:
    fleet = Fleet()
    fleet.tick(0)
    fleet.beat(100)
    for at in range(1_000, 60_000, 1_000):
        fleet.beat(at, client="other")
    assert [each.current.state for each in fleet.seen] == ["online", "online"]


@pytest.mark.parametrize(("behind", "offline_at"), [(-3_600_000, 13_200), (0, 13_200), (5_000, 18_200), (3_600_000, 23_200)])
def test_an_edge_with_a_wrong_clock_neither_blames_nor_spares_anybody(behind: int, offline_at: int) -> None:
    """Its heartbeats count from the watermark, at most ``silence_ms`` later."""
    fleet = Fleet()
    for at in range(0, 10_001, 500):
        fleet.tick(at)
        fleet.beat(at, received=at + behind)
    for at in range(10_500, offline_at + 500, 500):
        fleet.tick(at)
    assert [each.current.state for each in fleet.seen] == ["online", "late", "offline"]
    assert fleet.seen[-1].deadline == offline_at


def test_the_heap_does_not_grow_with_what_a_client_does() -> None:
    fleet = Fleet()
    for at in range(0, 20_000_000, 4_000):
        fleet.tick(at)
        fleet.beat(at, "online", gone_ms=DAY_MS)
        fleet.beat(at + 1, "offline", gone_ms=DAY_MS)
    assert len(fleet.partition._heap) < 1_100


def restored(fleet: Fleet) -> Restored:
    """What is kept of it."""
    newest = {each.client_id: liveness.to_record(each) for each in fleet.seen}
    checkpoint, seen = fleet.partition.checkpoint(0)
    return Restored([liveness.from_record(record) for record in newest.values()], seen, checkpoint or Checkpoint())


def test_after_a_restart_an_online_client_gets_a_fresh_deadline() -> None:
    before = Fleet()
    before.tick(0)
    before.beat(100)
    before.tick(2_000)
    after = Fleet(restored(before))
    assert after.tick(3_200) == []
    assert after.tick(5_199) == ["c late late"]
    assert after.tick(5_800) == ["c offline missed_heartbeats"]
    assert after.seen[-1].deadline == 2_000 + 3_200


def test_a_gap_around_a_restart_is_a_blind_span() -> None:
    before = Fleet()
    before.tick(0)
    before.beat(100)
    after = Fleet(restored(before))
    assert after.partition.tick(Tick(EDGE, 50_000)) == ([], (0, 50_000))
    assert after.partition.tick(Tick(EDGE, 50_000)) == ([], None)


def test_after_a_restart_a_missing_client_is_still_known_as_missing() -> None:
    before = Fleet()
    before.tick(0)
    before.beat(100)
    before.tick(3_400)
    after = Fleet(restored(before))
    assert after.tick(4_000) == []
    after.beat(4_100)
    previous = after.seen[-1].previous
    assert previous is not None
    assert is_missing(previous)
    assert previous.last_heartbeat == 100


def test_a_verdict_of_which_perhaps_nobody_was_told_is_told_after_a_crash() -> None:
    before = Fleet()
    before.tick(0)
    before.beat(100)
    kept = restored(before)
    before.tick(3_400)
    after = Fleet(restored(before)._replace(checkpoint=kept.checkpoint))
    assert after.untold() == ["c offline missed_heartbeats"]
    assert liveness.to_record(after.seen[0]) == liveness.to_record(before.seen[-1])
    assert after.untold() == []
    assert after.tick(3_400) == []


def test_what_is_read_again_before_a_persisted_transition_is_known() -> None:
    """A crash after the transition was persisted and before the clock was: the log is read again from further back."""
    before = Fleet()
    before.tick(0)
    before.beat(900, uptime=50.0)
    kept = restored(before)
    before.tick(1_000)
    before.beat(1_100, uptime=50.2)
    before.tick(2_000)
    before.beat(2_100, "error", uptime=0.1)
    after = Fleet(restored(before)._replace(checkpoint=kept.checkpoint))
    after.tick(1_000)
    assert after.beat(2_200, received=1_900, uptime=50.3) == []
    after.tick(2_000)
    assert after.beat(2_300, uptime=0.3) == ["c online heartbeat"]


def test_what_was_kept_last_counts_where_it_is_newer() -> None:
    before = Fleet()
    before.tick(0)
    before.beat(100, uptime=1.0)
    before.beat(900, uptime=1.8)
    before.tick(1_000)
    kept = restored(before)
    assert kept.seen["c"].last_heartbeat == 900
    after = Fleet(kept)
    assert after.beat(900) == []
    assert after.beat(800, uptime=1.9, received=1_000) == []
    assert [each.current.last_heartbeat for each in after.partition.untold()] == []
    assert after.partition._clients["c"][2:4] == (1_000, 800)
