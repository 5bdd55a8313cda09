"""Liveness agrees with the oracle in every world that the seeds make, and a fault in it would be seen."""

from __future__ import annotations

import os

import pytest

from tests.figures import Tell
from tests.simulation.broken import BROKEN
from tests.simulation.many import run
from tests.simulation.verdict import disagreements

SEEDS, CPU_S = 10_000, 60.0
FEWEST = 1_000
FOUND_WITHIN = 1_000
ONCE_DISAGREED = (
    104_166, 114_564, 124_465, 164_914, 191_151, 217_713, 247_763, 255_665, 281_164, 285_720, 310_992, 317_402, 355_678,
    355_878, 357_510, 440_817, 478_325, 633_186, 662_649, 908_929,
)  # fmt: skip
"""Found by `make soak`: each was a fault once."""


def test_no_seed_disagrees_with_the_oracle(tell: Tell) -> None:
    outcome = run(0, SEEDS, os.cpu_count() or 1, CPU_S)
    tell(str(outcome))
    assert outcome.shown == []
    assert outcome.seeds >= FEWEST


@pytest.mark.parametrize("seed", ONCE_DISAGREED)
def test_what_was_a_fault_once_is_none_any_more(seed: int) -> None:
    assert disagreements(seed) == []


@pytest.mark.parametrize("name", BROKEN)
def test_a_fault_is_found(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    place, member, fault = BROKEN[name]
    monkeypatch.setattr(place, member, fault)
    assert any(disagreements(seed) for seed in range(FOUND_WITHIN)), f"{FOUND_WITHIN} seeds do not find that {name}"
