"""The judge itself: each thing that must not happen is found where it did, and only there."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.chaos import oracle

INTERVAL_MS, GRACE_MS = 1_000, 500
SPAN_MS = 3 * INTERVAL_MS + GRACE_MS


def beat(at_ms: int, status: str = "online", timestamp: int | None = None) -> dict[str, Any]:
    times = {"timestamp": at_ms if timestamp is None else timestamp, "received_at": at_ms}
    return {"client_id": "c", "status": status, "interval_ms": INTERVAL_MS, **times}


def verdict(deadline_ms: int) -> dict[str, Any]:
    return {
        "client_id": "c", "state": "offline", "reason": "missed_heartbeats",
        "interval_ms": INTERVAL_MS, "deadline": deadline_ms,
    }  # fmt: skip


def alert(status: str, **changes: Any) -> dict[str, Any]:
    told = {"alert_id": "a", "rule": "offline", "client_id": "c", "summary": "s", "evidence": "{}", "emitted_at": 1}
    return {**told, "status": status, **changes}


@pytest.mark.parametrize(
    ("heard_ms", "wrong"),
    [
        ([10_000], False),
        ([10_000, 9_000], False),
        ([10_000, 10_001], True),
        ([10_000, 10_000 + SPAN_MS], True),
        ([10_000, 10_000 + SPAN_MS + 1], False),
        ([], False),
    ],
)
def test_a_verdict_is_wrong_where_a_heartbeat_lies_within_its_silence(heard_ms: list[int], wrong: bool) -> None:
    found = oracle.false_verdicts([beat(at) for at in heard_ms], [verdict(10_000 + SPAN_MS)], GRACE_MS)
    assert bool(found) is wrong


def test_only_verdicts_of_silence_can_be_wrong() -> None:
    said = {**verdict(10_000 + SPAN_MS), "reason": "reported"}
    online = {**verdict(10_000 + SPAN_MS), "state": "online"}
    assert oracle.false_verdicts([beat(10_001)], [said, online], GRACE_MS) == []


@pytest.mark.parametrize(
    ("beats", "now_ms", "state"),
    [
        ([beat(0)], SPAN_MS, "online"),
        ([beat(0)], SPAN_MS + 1, "missed_heartbeats"),
        ([beat(0), beat(10, "offline")], 10 * SPAN_MS, "reported"),
        ([beat(0, "offline"), beat(10)], SPAN_MS, "online"),
        # One that came late tells nothing new.
        ([beat(0, timestamp=5), beat(10, "offline", timestamp=4)], SPAN_MS, "online"),
    ],
)
def test_the_replay_goes_by_the_newest_heartbeat(beats: list[dict[str, Any]], now_ms: int, state: str) -> None:
    assert oracle.replayed_states(beats, now_ms, GRACE_MS) == {"c": state}


def test_what_was_accepted_is_on_kafka_with_a_time_between_question_and_answer() -> None:
    answers = [("c", 9, 11), ("c", 10, 10), ("c", 11, 12), ("c", 8, 9), ("d", 9, 11)]
    assert oracle.lost(answers, [beat(10)]) == answers[2:]


def test_late_is_alive_and_the_newest_record_counts() -> None:
    records = [verdict(1), {**verdict(1), "state": "late", "reason": "late"}]
    assert oracle.newest_states(records) == {"c": "online"}
    assert oracle.newest_states(records[::-1]) == {"c": "missed_heartbeats"}


def test_an_alert_that_is_told_twice_must_say_the_same() -> None:
    again = alert("firing", emitted_at=2)
    assert oracle.contradictions([alert("firing"), again, alert("resolved", summary="t")]) == []
    other = alert("firing", summary="another")
    assert oracle.contradictions([alert("firing"), again, other]) == [(alert("firing"), other)]


def test_an_alert_that_still_fires_is_named_by_its_client() -> None:
    assert oracle.unresolved([alert("firing"), alert("firing", alert_id="b", client_id="d")], "offline") == {"c", "d"}
    assert oracle.unresolved([alert("firing"), alert("resolved")], "offline") == set()
    assert oracle.unresolved([alert("firing")], "another rule") == set()


def test_events_that_were_told_are_those_of_the_evidence() -> None:
    named = alert("firing", rule="high_severity", evidence=json.dumps({"event_ids": ["e"]}))
    assert oracle.told_of([named, alert("firing")], "high_severity") == {("c", "e")}
