"""The liveness clock, without Kafka."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from processors.watermark import BlindSpan, ClockLimits, PartitionClock, advance

LIMITS = ClockLimits(silence_ms=10_000, gap_ms=5_000)

Tick = tuple[str, int]


def run(ticks: list[Tick]) -> tuple[list[int | None], list[BlindSpan]]:
    clock, marks, spans = PartitionClock(), [], []
    for edge, at in ticks:
        clock, span = advance(clock, edge, at, LIMITS)
        marks.append(clock.watermark_ms)
        spans += [span] if span else []
    return marks, spans


@pytest.mark.parametrize(
    ("ticks", "marks", "spans"),
    [
        ([("a", 100)], [100], []),
        ([("a", 100), ("a", 600)], [100, 600], []),
        # the slower edge holds the watermark
        ([("a", 100), ("b", 90), ("a", 600), ("b", 500)], [100, 100, 100, 500], []),
        # a redelivered tick, a tick out of order
        ([("a", 600), ("a", 600), ("a", 100), ("a", 700)], [600, 600, 600, 700], []),
        # up to the limit a step is no gap
        ([("a", 0), ("a", 5_000)], [0, 5_000], []),
        ([("a", 0), ("a", 5_001)], [0, 5_001], [BlindSpan(0, 5_001)]),
        # an edge that falls silent holds the watermark until it is taken as gone: what came through it is unknown
        (
            [("a", 0), ("b", 0), ("a", 5_000), ("a", 10_000), ("a", 10_001)],
            [0, 0, 0, 0, 10_001],
            [BlindSpan(0, 10_001)],
        ),
        # one that comes late is not let in, and does not turn the clock back
        ([("a", 20_000), ("b", 1_000), ("a", 20_500)], [20_000, 20_000, 20_500], []),
    ],
)
def test_steps(ticks: list[Tick], marks: list[int], spans: list[BlindSpan]) -> None:
    assert run(ticks) == (marks, spans)


@given(st.lists(st.tuples(st.sampled_from("abc"), st.integers(0, 60_000)), min_size=1))
def test_the_watermark_never_goes_back_and_every_long_step_is_a_span(ticks: list[Tick]) -> None:
    marks, spans = run(ticks)
    steps = [(a, b) for a, b in itertools.pairwise(marks) if a is not None and b is not None]
    assert all(a <= b for a, b in steps)
    assert [BlindSpan(a, b) for a, b in steps if b - a > LIMITS.gap_ms] == spans
    assert all(mark is not None and mark <= max(at for _, at in ticks) for mark in marks)
