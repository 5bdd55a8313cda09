"""When to try again, and what may be committed."""

from __future__ import annotations

import random

import pytest

from processors.delivery.progress import Checkpoint, DoneBefore, Progress
from processors.delivery.retry import FIRST_S, MOST_S, Attempts, retry_after_s

NOW_S = 1_700_000_000.0


def test_pauses_grow_from_nothing_to_the_most_with_full_jitter() -> None:
    attempts = Attempts(NOW_S, NOW_S, 1e9)
    seeded = random.Random(7)
    for failures in (0, 3, 6, 20, 10_000):
        pauses = [attempts.pause_s(failures, NOW_S, None, seeded.random) or 0.0 for _ in range(2_000)]
        most_s = min(MOST_S, FIRST_S * 2 ** min(failures, 20))
        assert max(pauses) <= most_s
        assert max(pauses) > 0.95 * most_s
        assert min(pauses) < 0.05 * most_s
        assert 0.45 * most_s < sum(pauses) / len(pauses) < 0.55 * most_s


def test_it_is_given_up_by_age_but_not_before_a_minute_of_attempts() -> None:
    young = Attempts(began_s=NOW_S, written_s=NOW_S, give_up_after_s=3_600)
    assert young.pause_s(9, NOW_S + 3_539, None, lambda: 1.0) == MOST_S
    assert young.pause_s(9, NOW_S + 3_590, None, lambda: 1.0) == 10, "the last attempt is made at the deadline"
    assert young.pause_s(9, NOW_S + 3_600, None, lambda: 0.0) is None
    old = Attempts(began_s=NOW_S, written_s=NOW_S - 86_400, give_up_after_s=3_600)
    assert old.pause_s(0, NOW_S + 59, None, lambda: 1.0) == FIRST_S
    assert old.pause_s(0, NOW_S + 60, None, lambda: 1.0) is None
    hasty = Attempts(began_s=NOW_S, written_s=NOW_S - 10, give_up_after_s=1)
    assert hasty.pause_s(0, NOW_S + 1.1, None, lambda: 0.0) is None


def test_what_the_receiver_asks_for_is_waited_for_or_given_up() -> None:
    attempts = Attempts(NOW_S, NOW_S, 3_600)
    assert attempts.pause_s(0, NOW_S, 120.0, lambda: 1.0) == 120.0
    assert attempts.pause_s(9, NOW_S, 1.0, lambda: 1.0) == MOST_S
    assert attempts.pause_s(0, NOW_S, 3_601.0, lambda: 0.0) is None


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("120", 120.0), ("0", 0.0), (" 7 ", 7.0), ("Tue, 14 Nov 2023 22:13:50 GMT", 30.0),
        ("Tue, 14 Nov 2023 22:00:00 GMT", 0.0), (None, None), ("", None), ("-1", None), ("soon", None), ("1e9", None),
        ("9" * 5_000, None), ("nan", None), ("Tue, 99 Nov 2023 99:13:50 GMT", None),
    ],
)  # fmt: skip
def test_retry_after_is_read(text: str | None, seconds: float | None) -> None:
    assert retry_after_s(text, NOW_S) == seconds


def test_nothing_undone_is_ever_committed() -> None:
    seeded = random.Random(3)
    progress, undone = Progress(), set[tuple[int, int]]()
    offsets = {0: 100, 1: 0}
    for _ in range(3_000):
        if undone and seeded.random() < 0.5:
            done = seeded.choice(sorted(undone))
            undone.remove(done)
            progress.finish(*done)
        else:
            partition = seeded.choice((0, 1))
            progress.take(partition, offsets[partition], offsets[partition])
            undone.add((partition, offsets[partition]))
            offsets[partition] += seeded.choice((1, 1, 5))  # compaction and transactions leave gaps
        for partition, checkpoint in progress.checkpoints().items():
            waiting = [at for number, at in undone if number == partition]
            assert checkpoint.offset <= min(waiting, default=offsets[partition])
            done = DoneBefore(checkpoint)
            assert done.end <= offsets[partition]
            assert not any(done.covers(at) for at in waiting)
            if checkpoint.note:
                assert sum(not done.covers(at) for at in range(done.end)) == len(waiting)
        assert len(progress) == len(undone)
    for partition, offset in undone:
        progress.finish(partition, offset)
    assert progress.oldest_ms() is None
    for partition, checkpoint in progress.checkpoints().items():
        assert offsets[partition] - 5 < checkpoint.offset <= offsets[partition]
        assert checkpoint.note == ""


def test_the_oldest_is_known_and_what_was_given_up_is_forgotten() -> None:
    progress = Progress()
    progress.take(0, 5, 700)
    progress.take(1, 9, 600)
    assert progress.oldest_ms() == 600
    progress.clear()
    progress.finish(0, 5)
    assert (progress.checkpoints(), len(progress)) == ({}, 0)


@pytest.mark.parametrize(
    "note", ["", "1;", "1;5", "2;5;0,", "1;5;0", "1;-5;0,", "1;5;a,", "1;5;0,\n", "x" * 9_000, "1;" + "9" * 30 + ";"]
)
def test_a_text_of_somebody_else_says_nothing(note: str) -> None:
    done = DoneBefore(Checkpoint(100, note))
    assert done.end == 100
    assert not any(done.covers(offset) for offset in range(100, 110))


def test_a_text_too_long_for_kafka_is_left_out() -> None:
    progress = Progress()
    for number in range(4_000):
        progress.take(0, number * 1_000_000, 0)
    assert progress.checkpoints() == {0: Checkpoint(0, "")}
