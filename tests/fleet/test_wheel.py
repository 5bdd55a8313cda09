from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from fleet.wheel import TimingWheel

MOMENTS = st.lists(st.floats(0, 5_000), max_size=40)


@given(MOMENTS, st.lists(st.floats(0.1, 700), min_size=1, max_size=40), st.integers(1, 50))
def test_everything_comes_once_never_early_and_at_the_first_turn_of_its_slot(
    moments: list[float], steps: list[float], slot_ms: int
) -> None:
    wheel: TimingWheel[int] = TimingWheel(0.0, slot_ms)
    for number, due_ms in enumerate(moments):
        wheel.add(due_ms, number)
    now_ms, before_ms, seen = 0.0, -1.0, []
    for step in [*steps, 6_000.0]:
        now_ms += step
        for due_ms, number in wheel.due(now_ms):
            assert due_ms == moments[number]
            assert due_ms <= now_ms
            assert due_ms + slot_ms > before_ms
            seen.append(number)
        before_ms = now_ms
    assert sorted(seen) == list(range(len(moments)))
    assert len(wheel) == 0


def test_what_is_past_comes_at_the_next_turn() -> None:
    wheel: TimingWheel[str] = TimingWheel(1_000.0)
    wheel.due(2_000.0)
    wheel.add(500.0, "late")
    assert wheel.due(2_005.0) == [(500.0, "late")]


def test_what_is_added_while_things_are_due_waits_for_another_turn() -> None:
    wheel: TimingWheel[str] = TimingWheel(0.0)
    wheel.add(10.0, "first")
    assert wheel.due(10.0) == [(10.0, "first")]
    wheel.add(10.0, "second")
    assert wheel.due(10.0) == []
    assert wheel.due(15.0) == [(10.0, "second")]
