"""When the next heartbeat comes after one that was not let go."""

from __future__ import annotations

import random
from collections import Counter

from viworks.beating import held_back
from viworks.breaker import BreakerPolicy, within
from viworks.transport import RetryPolicy

OFFLINE_AFTER = 3


def test_it_comes_once_the_breaker_lets_it_and_within_an_interval_of_that() -> None:
    waits = [held_back(30, n / 100, 7_000) for n in range(100)]
    assert (waits[0], waits[-1]) == (7_000, 36_700)


def test_after_the_longest_opening_it_comes_before_the_client_counts_as_offline() -> None:
    for interval_s in (1, 5, 15, 30, 60, 300):
        longest_ms = held_back(interval_s, 0.999, within(RetryPolicy().breaker, interval_s).max_open_ms)
        assert longest_ms < OFFLINE_AFTER * interval_s * 1000


def test_whenever_breakers_let_go_the_heartbeats_are_spread_evenly() -> None:
    """As many in each part of an interval, though all breakers let go at nearly the same time."""
    chance = random.Random("even")
    opened = BreakerPolicy().open_ms
    came = (held_back(30, chance.random(), int(opened * chance.uniform(0.5, 1))) % 30_000 for _ in range(30_000))
    assert max(Counter(at_ms // 3_000 for at_ms in came).values()) < 3_300
