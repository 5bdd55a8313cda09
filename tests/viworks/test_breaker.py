"""The circuit breaker: what opens it, what it lets through, what closes it, whatever the order of events."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from viworks.breaker import Breaker, BreakerPolicy, BreakerState, Outcome, Permit, admit, outcome_of, settle, wait_ms, within

POLICY = BreakerPolicy(
    failures_to_open=3, open_ms=1_000, max_open_ms=8_000, probes=2, successes_to_close=2, probe_lease_ms=500
)
CLOSED, OPEN, HALF_OPEN = BreakerState
SUCCESS, FAILURE, NEITHER = Outcome


ANSWERED = [200, 202, 304, 400, 401, 409, 413, 422, 501, 505]


@pytest.mark.parametrize(
    ("outcome", "statuses"), [(SUCCESS, ANSWERED), (NEITHER, [429]), (FAILURE, [500, 502, 503, 504, 599])]
)
def test_what_a_status_says(outcome: Outcome, statuses: list[int]) -> None:
    assert {outcome_of(status) for status in statuses} == {outcome}


def run(breaker: Breaker, *outcomes: Outcome, now_ms: int = 0, at_least_ms: int = 0) -> Breaker:
    for outcome in outcomes:
        breaker, permit = admit(POLICY, breaker, now_ms)
        assert permit is not None
        breaker = settle(POLICY, breaker, permit, outcome, now_ms, 0.0, at_least_ms)
    return breaker


def test_failures_in_a_row_open_it_and_a_success_between_does_not_count() -> None:
    assert run(Breaker(), FAILURE, FAILURE, SUCCESS, FAILURE, FAILURE).state is CLOSED
    assert run(Breaker(), FAILURE, NEITHER, FAILURE, FAILURE).state is OPEN


def test_being_told_to_wait_never_opens_it() -> None:
    assert run(Breaker(), *[NEITHER] * 100).state is CLOSED


def test_it_stays_open_at_least_as_long_as_the_server_asked() -> None:
    assert run(Breaker(), *[FAILURE] * 3).until_ms == 500
    assert run(Breaker(), *[FAILURE] * 3, at_least_ms=30_000).until_ms == 30_000


def test_failed_probes_make_it_wait_twice_as_long_up_to_the_most() -> None:
    breaker, waits = run(Breaker(), *[FAILURE] * 3), []
    for _ in range(5):
        now_ms = breaker.until_ms
        breaker = run(breaker, FAILURE, now_ms=now_ms)
        waits.append(breaker.until_ms - now_ms)
    assert waits == [1_000, 2_000, 4_000, 4_000, 4_000]


def test_probes_close_it_and_the_next_opening_is_short_again() -> None:
    breaker = run(Breaker(), *[FAILURE] * 3)
    breaker = run(breaker, SUCCESS, now_ms=500)
    assert breaker.state is HALF_OPEN
    breaker = run(breaker, SUCCESS, now_ms=500)
    assert breaker.state is CLOSED
    assert run(breaker, *[FAILURE] * 3, now_ms=1_000).until_ms == 1_500


def test_what_was_sent_before_it_opened_neither_closes_it_nor_holds_it_open() -> None:
    breaker, late = admit(POLICY, Breaker(), 0)
    assert late is not None
    opened = run(breaker, *[FAILURE] * 3)
    half_open, _ = admit(POLICY, opened, 500)
    for state in (opened, half_open):
        assert settle(POLICY, state, late, SUCCESS, 500, 0.0) == settle(POLICY, state, late, FAILURE, 500, 0.0) == state


def test_while_a_probe_is_under_way_others_ask_again_soon() -> None:
    lone = replace(POLICY, probes=1, probe_lease_ms=60_000)
    half_open, probe = admit(lone, run(Breaker(), *[FAILURE] * 3), 500)
    assert probe is not None
    assert admit(lone, half_open, 501)[1] is None
    assert wait_ms(half_open, 501) == 1_000
    assert wait_ms(half_open, 60_000) == 500


@pytest.mark.parametrize(("interval_s", "waits"), [(1, (1_000, 1_000)), (15, (5_000, 15_000)), (30, (5_000, 30_000))])
def test_its_waits_follow_the_heartbeats_interval(interval_s: int, waits: tuple[int, int]) -> None:
    policy = within(BreakerPolicy(), interval_s)
    assert (policy.open_ms, policy.max_open_ms) == waits


def test_a_long_interval_makes_no_wait_longer_than_was_chosen() -> None:
    assert within(BreakerPolicy(), 300) == BreakerPolicy()


class Machine(RuleBasedStateMachine):
    """Requests that are admitted, settled in any order, lost, and late."""

    @initialize()
    def start(self) -> None:
        self.breaker, self.now_ms = Breaker(), 0
        self.out: list[tuple[Permit, int]] = []

    @rule(ms=st.integers(0, 3_000))
    def time_passes(self, ms: int) -> None:
        self.now_ms += ms

    @rule()
    def ask(self) -> None:
        before = self.breaker
        self.breaker, permit = admit(POLICY, before, self.now_ms)
        if before.state is CLOSED:
            assert permit is not None
        if before.state is OPEN and self.now_ms < before.until_ms:
            assert permit is None
            assert wait_ms(self.breaker, self.now_ms) > 0
        if permit is not None:
            self.out.append((permit, self.now_ms))

    @precondition(lambda self: self.out)
    @rule(data=st.data(), outcome=st.sampled_from(Outcome), fraction=st.floats(0, 1, exclude_max=True))
    def hear(self, data: st.DataObject, outcome: Outcome, fraction: float) -> None:
        permit, _ = self.out.pop(data.draw(st.integers(0, len(self.out) - 1)))
        before = self.breaker
        self.breaker = settle(POLICY, before, permit, outcome, self.now_ms, fraction)
        if permit.generation != before.generation:
            assert self.breaker == before, "what was sent before the last change says nothing"
        if self.breaker.state is OPEN and before.state is not OPEN:
            assert outcome is FAILURE
            assert 500 <= self.breaker.until_ms - self.now_ms <= 8_000

    @precondition(lambda self: self.out)
    @rule()
    def lose(self) -> None:
        self.out.pop()

    @invariant()
    def no_more_probes_than_places(self) -> None:
        if self.breaker.state is HALF_OPEN:
            probes = [sent_ms for permit, sent_ms in self.out if permit.generation == self.breaker.generation]
            assert sum(sent_ms + POLICY.probe_lease_ms > self.now_ms for sent_ms in probes) <= POLICY.probes

    @invariant()
    def it_is_never_stuck(self) -> None:
        later_ms = self.now_ms + wait_ms(self.breaker, self.now_ms)
        if self.breaker.state is HALF_OPEN:
            later_ms += POLICY.probe_lease_ms
        assert later_ms <= self.now_ms + 8_000
        assert admit(POLICY, self.breaker, later_ms)[1] is not None


Machine.TestCase.settings = settings(max_examples=100, stateful_step_count=40, deadline=None)
TestAnyOrder = Machine.TestCase
