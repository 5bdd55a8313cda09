"""Orders of operators, without Kafka; their bodies are hostile."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from processors.alerting.desk import Desk
from processors.alerting.orders import MAX_DURATION_MS, Answer, State, carry_out
from processors.alerting.silences import MAX_SILENCES, Silences
from processors.alerts import alert_id
from schemas import codec
from tests.processors.alerting.test_desk import OFFLINE, RULES, finding
from tests.processors.samples import command

CLOCK = 50_000
TOO_LONG = "a silence lasts from a millisecond to 366 days"


def a_state() -> State:
    silences = Silences()
    desk = Desk(RULES, silences, CLOCK)
    desk.observe(finding(OFFLINE, "c", 1))
    return State(desk, silences, RULES, CLOCK)


def order(state: State, action: str, subject: str, **arguments: Any) -> Answer:
    return carry_out(state, command(subject, action, **arguments) | {"received_at": 50_700}, 60_000)


def outcome(answer: Answer) -> tuple[str, str]:
    return answer.verdict["outcome"], json.loads(answer.verdict["details"]).get("reason", "")


def test_an_order_is_answered_audited_and_carried_out_once() -> None:
    state, alert = a_state(), alert_id(OFFLINE, "c", 1)
    first = order(state, "alert.acknowledge", alert, reason="on it")
    again = order(state, "alert.acknowledge", alert, reason="on it")
    assert (outcome(first), outcome(again)) == (("accepted", "on it"), ("renewed", "on it"))
    assert ([each.status for each in first.alerts], again.alerts) == (["acknowledged"], ())
    assert first.audit
    assert (first.audit.record["actor"], first.audit.record["action"]) == ("admin", "alert.acknowledge")
    codec.encode("verdict", first.verdict)
    codec.encode("audit", first.audit.record)


def test_a_silence_holds_at_once_and_until_it_is_over_or_ended() -> None:
    state = a_state()
    assert outcome(order(state, "alert.silence", "s", rule=OFFLINE, duration_ms=1_000))[0] == "accepted"
    assert outcome(order(state, "alert.silence", "s", rule=OFFLINE, duration_ms=1_000))[0] == "renewed"
    silence = state.silences.get("s")
    assert silence
    # The clock is a little behind the wall clock, by which the order was given.
    assert (silence.starts_at, silence.ends_at, silence.actor) == (CLOCK, 51_700, "admin")
    assert [each.status for each in state.desk.observe(finding(OFFLINE, "d", 1))] == ["suppressed"]
    ended = order(state, "alert.unsilence", "s")
    assert (outcome(ended)[0], [each.status for each in ended.alerts]) == ("accepted", ["firing"])
    assert outcome(order(state, "alert.unsilence", "s"))[0] == "renewed"


@pytest.mark.parametrize(
    ("action", "arguments", "reason"),
    [
        ("alert.paint", {}, "no such action"),
        ("alert.acknowledge", {}, "no alert of this id stands"),
        ("alert.acknowledge", {"reason": 5}, "reason is not a text of up to 1000 characters"),
        ("alert.silence", {"duration_ms": 1}, "it names neither a rule, a client nor a node"),
        ("alert.silence", {"rule": OFFLINE}, TOO_LONG),
        ("alert.silence", {"rule": OFFLINE, "duration_ms": MAX_DURATION_MS + 1}, TOO_LONG),
        ("alert.silence", {"rule": OFFLINE, "duration_ms": "1"}, "duration_ms is not a number of milliseconds"),
        ("alert.silence", {"rule": "offlin", "duration_ms": 1}, "there is no such rule: `viworks rules show` lists them"),
        ("alert.silence", {"client_id": "c" * 257, "duration_ms": 1}, "client_id is not a text of up to 256 characters"),
        ("alert.unsilence", {}, "there is no such silence"),
    ],
)  # fmt: skip
def test_what_does_not_fit_is_refused_with_a_reason(action: str, arguments: dict[str, Any], reason: str) -> None:
    answer = order(a_state(), action, "x", **arguments)
    assert (outcome(answer), answer.audit, answer.alerts) == (("refused", reason), None, ())


def test_silences_are_bounded() -> None:
    state = a_state()
    for number in range(MAX_SILENCES):
        order(state, "alert.silence", str(number), rule=OFFLINE, duration_ms=1)
    assert outcome(order(state, "alert.silence", "one more", rule=OFFLINE, duration_ms=1))[0] == "refused"


JSON = st.recursive(st.none() | st.booleans() | st.integers() | st.text(max_size=5), lambda each: st.lists(each, max_size=3))
BODIES = st.dictionaries(st.sampled_from(["rule", "client_id", "node_id", "starts_at", "duration_ms", "reason"]), JSON)


@settings(deadline=None)
@given(st.sampled_from(["alert.silence", "alert.unsilence", "alert.acknowledge", "x"]), BODIES.map(json.dumps) | st.text())
def test_whatever_the_body_there_is_an_answer(action: str, body: str) -> None:
    answer = carry_out(a_state(), command("x", action) | {"body": body}, 60_000)
    codec.encode("verdict", answer.verdict)
