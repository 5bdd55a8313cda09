"""When the next heartbeat comes after one that was not let go."""

from __future__ import annotations

import random
from collections import Counter

import pytest

from viworks.backoff import Backoff
from viworks.beating import Beat, held_back, missed
from viworks.breaker import BreakerPolicy, within
from viworks.transport import RetryPolicy


def test_it_comes_once_the_breaker_lets_it_and_within_an_interval_of_that() -> None:
    waits = [held_back(30, n / 100, 7_000) for n in range(100)]
    assert (waits[0], waits[-1]) == (7_000, 36_700)


def test_after_the_longest_opening_it_comes_an_interval_before_the_client_counts_as_offline() -> None:
    for interval_s in (1, 5, 15, 30, 60, 300):
        longest_ms = held_back(interval_s, 0.999, within(RetryPolicy().breaker, interval_s).max_open_ms)
        assert longest_ms < 2 * interval_s * 1000


@pytest.mark.parametrize(("interval_s", "longest_ms"), [(1, 1_000), (30, 30_000), (300, 60_000)])
def test_one_that_was_not_accepted_is_tried_again_within_an_interval(interval_s: int, longest_ms: int) -> None:
    _, wait_ms = missed(Beat(Backoff(30)), interval_s, 0.5)
    assert wait_ms == longest_ms // 2


def test_whenever_breakers_let_go_the_heartbeats_are_spread_evenly() -> None:
    """As many in each part of an interval, though all breakers let go at nearly the same time."""
    chance = random.Random("even")
    opened = BreakerPolicy().open_ms
    came = (held_back(30, chance.random(), int(opened * chance.uniform(0.5, 1))) % 30_000 for _ in range(30_000))
    assert max(Counter(at_ms // 3_000 for at_ms in came).values()) < 3_300
