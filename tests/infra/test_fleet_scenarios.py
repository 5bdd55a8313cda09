from __future__ import annotations

from pathlib import Path

import pytest

from fleet.discipline import Discipline
from fleet.scenario import Act, Kind, Scenario
from infra.errors import ScenarioInvalid
from infra.fleet_scenarios import read_scenario, shipped

WHOLE = """
title: All members
clients: 5000
interval: 30s
ramp: 1m
duration: 10m
discipline: none
acts:
- {act: silence, at: 1m, for: 90s, clients: 12.5%}
- {act: skew, by: -2m, clients: 7}
- {act: brute_force, rate: 2.5, source_ip: 192.0.2.0}
- {act: churn, rate: 1, away: 5m, farewell: false}
- {act: events, rate: 3, types: [system_error, certificate_error], severity: high}
- {act: sessions, rate: 3, lasting: 1h}
- {act: hostile, rate: 3, kinds: stale}
"""

FAULTY = """
clients: 0
discipline: strict
colour: red
acts:
- {at: 1m}
- {act: sleep}
- {act: cut, clients: 0%}
- {act: cut, clients: 110%}
- {act: cut, rate: 3}
- {act: skew}
- {act: skew, by: soon}
- {act: events, types: [rain]}
- {act: churn, farewell: 3}
- {act: cut, for: 8d}
"""


def written(directory: Path, text: str) -> str:
    path = directory / "mine.yaml"
    path.write_text(text)
    return str(path)


def test_all_members(tmp_path: Path) -> None:
    assert read_scenario(written(tmp_path, WHOLE)) == Scenario(
        name="mine",
        clients=5_000,
        interval_ms=30_000,
        ramp_ms=60_000,
        duration_ms=600_000,
        discipline=Discipline.NONE,
        acts=(
            Act(Kind.SILENCE, at_ms=60_000, for_ms=90_000, share=0.125),
            Act(Kind.SKEW, count=7, by_ms=-120_000),
            Act(Kind.BRUTE_FORCE, rate_per_s=2.5, source_ip="192.0.2.0"),
            Act(Kind.CHURN, away_ms=300_000, farewell=False),
            Act(Kind.EVENTS, rate_per_s=3, values=("system_error", "certificate_error"), severity="high"),
            Act(Kind.SESSIONS, rate_per_s=3, away_ms=3_600_000),
            Act(Kind.HOSTILE, rate_per_s=3, values=("stale",)),
        ),
    )


def test_each_fault_has_its_line(tmp_path: Path) -> None:
    with pytest.raises(ScenarioInvalid) as raised:
        read_scenario(written(tmp_path, FAULTY))
    lines = [int(fault.split(":")[1]) for fault in raised.value.detail]
    assert lines == [2, 3, 4, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15]


@pytest.mark.parametrize("text", ["", "- a\n- b\n", "acts: 3\n", "clients: [1]\n", "a: &x 1\nb: *x\n", "\x00"])
def test_what_is_no_scenario(text: str, tmp_path: Path) -> None:
    with pytest.raises(ScenarioInvalid):
        read_scenario(written(tmp_path, text))


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(ScenarioInvalid):
        read_scenario(str(tmp_path / "none.yaml"))


@pytest.mark.parametrize("name", shipped())
def test_the_shipped_scenarios_are_whole_and_documented(name: str) -> None:
    read_scenario(name)
    assert f"`{name}`" in (Path(__file__).parents[2] / "docs" / "fleet.md").read_text()
