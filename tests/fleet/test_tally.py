from __future__ import annotations

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from fleet.client import make_clients
from fleet.exchange import NO_ANSWER, Answer, Exchange
from fleet.histogram import Histogram
from fleet.tally import Tally
from tests.fleet.imagined import ACCEPTED, refusing

CLIENT = make_clients("tally", 1, 0)[0]


@given(st.lists(st.floats(0, 1e6), min_size=1, max_size=200), st.floats(1, 100))
def test_a_percentile_is_never_too_low_and_at_most_a_64th_too_high(samples: list[float], percent: float) -> None:
    histogram = Histogram()
    for sample in samples:
        histogram.add(sample)
    ordered = sorted(samples)
    true_ms = next(value for rank, value in enumerate(ordered, 1) if rank >= len(ordered) * percent / 100)
    found_ms = histogram.percentile_ms(percent)
    assert true_ms - 1e-9 <= found_ms <= true_ms * (1 + 1 / 64) + 0.002
    assert histogram.max_ms == ordered[-1]


def test_a_latency_counts_from_when_the_request_was_due() -> None:
    tally = Tally(0.0)
    exchange = Exchange(CLIENT, "heartbeat", due_ms=1_000.0)
    tally.count_sent(exchange, 4_000.0)
    exchange.sent_ms = 5_000.0
    tally.count_answer(exchange, ACCEPTED, 5_020.0)
    assert tally.latency("heartbeat").max_ms == 4_020.0
    assert tally.answers.max_ms == 20.0
    assert tally.lateness.max_ms == 3_000.0


def test_every_verdict_is_counted_by_its_problem() -> None:
    tally = Tally(0.0)
    exchange = Exchange(CLIENT, "heartbeat", 0.0)
    for answer in (refusing(429, "rate-limited")(exchange), NO_ANSWER, Answer(502, b"HTTP/1.1 502 -", b"<html>"), ACCEPTED):
        tally.count_answer(exchange, answer, 1.0)
    assert tally.verdicts == {
        ("heartbeat", 429, "rate-limited"): 1,
        ("heartbeat", 0, "no-answer"): 1,
        ("heartbeat", 502, "not-a-problem-document"): 1,
    }
    assert tally.accepted == {"heartbeat": 1}


def test_rates_are_by_the_second_with_the_empty_ones() -> None:
    tally = Tally(10_000.0)
    for now_ms in (10_000.0, 10_999.0, 12_500.0):
        tally.count_sent(Exchange(CLIENT, "heartbeat", now_ms), now_ms)
    assert tally.rates() == [2, 0, 1]
    assert (tally.steady_per_s(), tally.peak_per_s(), tally.peak_per_s(1)) == (1.0, 2, 1)


def test_a_problem_that_is_no_json_object_is_none() -> None:
    for body in (b"[]", b"\xff", b"[" * 100_000, msgspec.json.encode("text")):
        assert Answer(500, b"HTTP/1.1 500 -", body).problem() == "not-a-problem-document"
