"""The liveness clock, without Kafka."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from processors.watermark import BlindSpan, ClockLimits, PartitionClock, Tick, advance

LIMITS = ClockLimits(silence_ms=10_000, gap_ms=5_000)

Step = tuple[str, int] | tuple[str, int, bool]


def run(ticks: list[Step]) -> tuple[list[int | None], list[BlindSpan]]:
    clock, marks, spans = PartitionClock(), [], []
    for step in ticks:
        clock, span = advance(clock, Tick(*step), LIMITS)
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
        # an edge that ends holds nothing up, and is no gap; read again it changes nothing
        ([("a", 0), ("b", 0), ("b", 400, True), ("a", 500), ("a", 4_500), ("a", 9_000)], [0, 0, 0, 500, 4_500, 9_000], []),
        ([("a", 0), ("b", 0), ("a", 500), ("b", 400, True), ("b", 400, True)], [0, 0, 0, 500, 500], []),
        # after the last one the watermark stands still until another edge ticks
        ([("a", 0), ("a", 400, True), ("b", 900)], [0, 400, 900], []),
        ([("a", 0), ("a", 400, True), ("b", 60_000)], [0, 400, 60_000], [BlindSpan(400, 60_000)]),
        # a clock that leaps away from the others' counts for nothing, ends as nothing, and comes back as if nothing had been
        ([("a", 0), ("b", 0), ("a", 500), ("b", 900_000), ("a", 1_000)], [0, 0, 0, 500, 1_000], []),
        ([("a", 0), ("b", 900_000), ("b", 900_500, True), ("a", 1_000)], [0, 0, 0, 1_000], []),
        ([("a", 0), ("b", 0), ("b", 900_000), ("b", 1_000), ("a", 800)], [0, 0, 0, 0, 800], []),
        # however long, while another edge ticks
        (
            [("a", 0), ("b", 900_000), ("b", 905_000), ("a", 4_000), ("b", 911_000), ("a", 8_000)],
            [0, 0, 0, 4_000, 4_000, 8_000],
            [],
        ),
        # and is believed once it is the only one
        (
            [("a", 0), ("b", 900_000), ("b", 905_000), ("b", 910_000), ("b", 910_001)],
            [0, 0, 0, 0, 910_001],
            [BlindSpan(0, 910_001)],
        ),
        # all leap: a suspended host, a broker that was away
        (
            [("a", 0), ("b", 0), ("a", 60_000), ("b", 60_100), ("a", 60_500), ("b", 60_600)],
            [0, 0, 0, 60_100, 60_100, 60_500],
            [BlindSpan(0, 60_100)],
        ),
        # one that comes late is not let in, and does not turn the clock back
        ([("a", 20_000), ("b", 1_000), ("a", 20_500)], [20_000, 20_000, 20_500], []),
    ],
)
def test_steps(ticks: list[Step], marks: list[int], spans: list[BlindSpan]) -> None:
    assert run(ticks) == (marks, spans)


def test_a_rolling_restart_is_neither_a_gap_nor_a_stall() -> None:
    """Of two edges one after the other ends and comes back under another name, while both tick twice a second."""
    ticks: list[Step] = []
    for at in range(0, 40_000, 500):
        ticks += [("a1", at)] if at < 10_000 else []
        ticks += [("a1", at, True)] if at == 10_000 else []
        ticks += [("a2", at)] if at > 14_000 else []
        ticks += [("b1", at + 100)] if at < 20_000 else []
        ticks += [("b1", at + 100, True)] if at == 20_000 else []
        ticks += [("b2", at + 100)] if at > 29_000 else []
    marks, spans = run(ticks)
    steps = [b - a for a, b in itertools.pairwise(mark for mark in marks if mark is not None)]
    assert spans == []
    assert max(steps) <= 600


@given(st.lists(st.tuples(st.sampled_from("abc"), st.integers(0, 60_000), st.booleans()), min_size=1))
def test_the_watermark_never_goes_back_and_every_long_step_is_a_span(ticks: list[tuple[str, int, bool]]) -> None:
    clock, spans, expected = PartitionClock(), [], []
    for step in ticks:
        before = clock.watermark_ms
        clock, span = advance(clock, Tick(*step), LIMITS)
        after = clock.watermark_ms
        spans += [span] if span else []
        if before is not None and after is not None:
            assert before <= after
            # The end of an edge may lead to a step of which nothing is unknown.
            expected += [BlindSpan(before, after)] if after - before > LIMITS.gap_ms and not step[-1] else []
    assert [span for span in expected if span not in spans] == []
    assert clock.watermark_ms is not None
    assert clock.watermark_ms <= max(step[1] for step in ticks)
