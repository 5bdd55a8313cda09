"""What becomes of a batch's records, for every verdict and for answers that make no sense."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.viworks.spools import event
from viworks.spool import Record, Spooled
from viworks.verdicts import MOST_TRIES, Fates, LineVerdict, fates, moved

NOW_MS = 1_800_000_000_000
STALE = "urn:viworks:problem:stale-timestamp"
BATCH = [Spooled(number, event(number, timestamp=NOW_MS)) for number in range(4)]
VERDICTS = st.builds(
    LineVerdict,
    line=st.integers(-2, 6),
    status=st.integers(100, 599),
    type=st.sampled_from(["", STALE, "urn:viworks:problem:bad-signature", "urn:viworks:problem:invalid-message", "x" * 999]),
    retryable=st.booleans(),
)


def places(found: Fates) -> list[int]:
    redated = [each.seq for each in found.redated]
    return sorted([*found.arrived, *found.later, *found.lost, *found.aside, *redated, *found.doubtful])


@given(st.lists(VERDICTS, max_size=8), st.dictionaries(st.integers(0, 3), st.integers(0, 9)), st.none() | st.just(NOW_MS))
def test_each_record_has_one_fate_whatever_the_server_says(
    results: list[LineVerdict], tries: dict[int, int], server_ms: int | None
) -> None:
    found = fates(BATCH, results, tries, server_ms)
    assert places(found) == [0, 1, 2, 3]
    answered = {result.line for result in results if result.status < 300}
    assert set(found.arrived) <= answered
    assert all(len(why) <= 40 for why in found.aside.values())


def test_a_line_without_a_verdict_is_sent_again() -> None:
    assert fates(BATCH, [LineVerdict(1, 202)], {}, NOW_MS).later == [0, 2, 3]


@pytest.mark.parametrize(
    ("age_ms", "tried", "server_ms", "fate"),
    [
        (8 * 86_400_000, 0, NOW_MS, "lost"),
        (-86_400_000, 0, NOW_MS, "redated"),
        (-86_400_000, MOST_TRIES, NOW_MS, "aside"),
        (-86_400_000, 0, None, "aside"),
    ],
)
def test_a_stale_record(age_ms: int, tried: int, server_ms: int | None, fate: str) -> None:
    spooled = Spooled(1, event(1, timestamp=NOW_MS - age_ms))
    found = fates([spooled], [LineVerdict(0, 422, STALE)], {1: tried}, server_ms)
    assert getattr(found, fate)
    if fate == "redated":
        assert found.redated[0].record.message["timestamp"] == NOW_MS


def test_a_session_that_is_moved_keeps_its_length() -> None:
    session = Record(
        kind="sessions", message={"session_id": "s", "start_time": 1_000, "end_time": 5_000, "status": "active"}
    )
    assert moved(session.message, 500) == {"session_id": "s", "start_time": 1_500, "end_time": 5_500, "status": "active"}
