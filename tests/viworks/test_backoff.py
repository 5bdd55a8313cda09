"""Waits between attempts: full jitter under a ceiling that doubles, and what a server may ask for."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from viworks.backoff import Backoff, BackoffPolicy, failed, retry_after_ms

POLICY = BackoffPolicy(base_ms=500, cap_ms=60_000, retry_after_cap_ms=600_000)
FRACTIONS = st.floats(0, 1, exclude_max=True)
NOW_MS = 784_111_777_000  # Sun, 06 Nov 1994 08:49:37 GMT


@given(st.integers(0, 10**6), FRACTIONS)
def test_a_wait_is_under_the_ceiling_and_never_negative(failures: int, fraction: float) -> None:
    after, wait_ms = failed(POLICY, Backoff(failures), fraction)
    assert 0 <= wait_ms < min(60_000, 500 * 2 ** min(failures, 20))
    assert after.failures == failures + 1


def test_the_ceilings_are_spread_evenly() -> None:
    waits, state = [], Backoff()
    for _ in range(9):
        state, wait_ms = failed(POLICY, state, 0.5)
        waits.append(wait_ms)
    assert waits == [250, 500, 1000, 2000, 4000, 8000, 16_000, 30_000, 30_000]


@given(st.integers(0, 50), FRACTIONS, st.integers(-(10**15), 10**15))
def test_what_the_server_asks_for_is_waited_out_but_not_without_end(failures: int, fraction: float, asked_ms: int) -> None:
    _, wait_ms = failed(POLICY, Backoff(failures), fraction, asked_ms)
    assert max(0, min(asked_ms, 600_000)) <= wait_ms <= 1_200_000


def test_those_who_were_told_the_same_come_back_spread_over_as_long_again() -> None:
    waits = [failed(POLICY, Backoff(), n / 100, 30_000)[1] for n in range(100)]
    assert (min(waits), max(waits)) == (30_000, 59_700)


@pytest.mark.parametrize(
    ("headers", "expected_ms"),
    [
        ({}, None),
        ({"retry-after": "0"}, 0),
        ({"retry-after": "120"}, 120_000),
        ({"retry-after": " 7 "}, 7_000),
        ({"retry-after": "999999999"}, 999_999_999_000),
        ({"retry-after": "9999999999"}, None),
        ({"retry-after": "-1"}, None),
        ({"retry-after": "1.5"}, None),
        ({"retry-after": "٣"}, None),
        ({"retry-after": "Sun, 06 Nov 1994 08:50:37 GMT"}, 60_000),
        ({"retry-after": "Sunday, 06-Nov-94 08:50:37 GMT"}, 60_000),
        ({"retry-after": "Sun, 06 Nov 1994 08:00:00 GMT"}, 0),
        # The server's clock is two hours ahead of the client's.
        ({"retry-after": "Sun, 06 Nov 1994 10:50:37 GMT", "date": "Sun, 06 Nov 1994 10:49:37 GMT"}, 60_000),
        ({"retry-after": "Sun, 06 Nov 1994 08:50:37 GMT", "date": "whenever"}, 60_000),
        ({"retry-after": "Sun, 99 Nov 1994 08:50:37 GMT"}, None),
        ({"retry-after": "tomorrow GMT"}, None),
        ({"retry-after": "x" * 100_000 + " GMT"}, None),
    ],
)
def test_retry_after(headers: dict[str, str], expected_ms: int | None) -> None:
    assert retry_after_ms(headers, NOW_MS) == expected_ms


@given(st.text(max_size=60), st.text(max_size=60))
def test_a_hostile_server_can_say_what_it_likes(asked: str, date: str) -> None:
    for value in (asked, asked + " GMT"):
        read = retry_after_ms({"retry-after": value, "date": date + " GMT"}, NOW_MS)
        assert read is None or read >= 0
