"""Every alteration of the log is found, and nothing that is as it should be is taken for one."""

from __future__ import annotations

from dataclasses import replace
from random import Random

import pytest

from sinks.audit.chain import DAY_MS
from sinks.audit.faults import shown
from tests.sinks.audit.log import sign
from tests.sinks.audit.made_log import TODAY, MadeLog, days_of, made_log, record, records
from tests.sinks.audit.tampers import TAMPERS, Tamper

ROUNDS = 1_000
LOGS = 20


@pytest.fixture(scope="module")
def logs() -> list[MadeLog]:
    """Of some days each, sealed to the end."""
    made = []
    for seed in range(LOGS):
        random = Random(seed)
        days = sorted(random.sample(range(TODAY - 30, TODAY), 4))
        made.append(made_log(random, records(random, days, (5, 25))))
    return made


@pytest.fixture(scope="module")
def sound(logs: list[MadeLog]) -> None:
    for log in logs:
        assert log.verify().faults == ()


@pytest.mark.usefixtures("sound")
@pytest.mark.parametrize("tamper", TAMPERS, ids=lambda tamper: tamper.__name__)
def test_an_alteration_is_found_and_its_place_is_named(logs: list[MadeLog], tamper: Tamper) -> None:
    for number in range(ROUNDS // len(TAMPERS) + 1):
        random = Random(f"{tamper.__name__} {number}")
        log = random.choice(logs).copy()
        least, most = tamper(log, random)
        report = log.verify(page=random.randint(1, 40))
        assert report.faults, f"{tamper.__name__} {number} was not found"
        assert all(fault.sentence.endswith(".") for fault in report.faults)
        first = report.first_broken
        assert first is None or least <= (first.position or 0) <= most, (number, report.faults)


def test_no_legal_prune_is_taken_for_an_alteration() -> None:
    for number in range(ROUNDS):
        random = Random(number)
        old = sorted(random.sample(range(TODAY - 420, TODAY - 367), random.randint(1, 4)))
        kept = sorted(random.sample(range(TODAY - 360, TODAY), random.randint(0, 3)))
        rows = records(random, [*old, *kept], (1, 8))
        log = made_log(random, rows)
        gone = random.sample(range(len(old) + 1), 1)[0]
        expired = [day for day, _ in days_of(log.rows)][:gone]
        log.rows = [each for each in log.rows if each["_day"] not in expired]
        log.notes["topic"] = log.notes["topic"][random.randrange(len(log.notes["topic"])) :]
        report = log.verify(page=random.randint(1, 20))
        assert report.faults == (), number


def test_a_day_is_not_expired_before_a_year_is_over() -> None:
    random = Random(1)
    day = TODAY - 366
    log = made_log(random, records(random, [day, TODAY - 1], (5, 9)))
    log.rows = [each for each in log.rows if each["_day"] != day]
    over_ms = (day + 1 + 365) * DAY_MS
    assert "which has not expired" in log.verify(now_ms=over_ms - 1).faults[0].sentence
    assert log.verify(now_ms=over_ms).faults == ()


def test_an_expired_day_goes_as_a_whole() -> None:
    log = made_log(Random(3), records(Random(3), [TODAY - 400, TODAY - 1], (5, 9)))
    (_, first), _ = days_of(log.rows)
    for gone in range(1, len(first)):
        part = log.copy()
        del part.rows[:gone]
        assert [(fault.position, fault.sentence) for fault in part.verify().faults] == [
            (0, log_sentence(gone, part)),
        ]


def log_sentence(gone: int, log: MadeLog) -> str:
    span = "Record 0 is" if gone == 1 else f"Records 0 to {gone - 1} are"
    return f"{span} missing, by day {shown(log.rows[0]['_day'])}: no day ends there."


def test_a_root_that_is_not_of_the_records_is_found_also_under_the_right_key() -> None:
    log = made_log(Random(4), records(Random(4), [TODAY - 1], (5, 9)))
    wrong = sign(replace(log.checkpoints[-1], root=bytes(32)))
    for notes in log.notes.values():
        notes[-1] = wrong
    (fault,) = log.verify().faults
    assert f"are not those that checkpoint {log.checkpoints[-1].sequence} was made of" in fault.sentence


def test_copies_may_be_a_moment_late_and_the_end_unsealed() -> None:
    random = Random(2)
    rows = records(random, [TODAY - 1], (20, 30))
    rows.append(record(rows[-1].offset + 1, rows[-1].timestamp + 10_000, random))
    log = made_log(random, rows, len(rows) - 1)
    log.notes["file"].pop()
    log.notes["topic"].pop()
    moment = log.checkpoints[-1].time_ms + 1_000
    assert log.verify(now_ms=moment).faults == ()
    later = log.verify(now_ms=moment + 3_600_000)
    assert [fault.sentence.partition(") ")[2] for fault in later.faults[:2]] == [
        "is missing in the file.",
        "is missing in the topic.",
    ]
    assert "no checkpoint covers it" in later.faults[2].sentence
