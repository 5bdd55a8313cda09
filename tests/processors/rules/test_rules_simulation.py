"""The engine against the oracle, over many seeds, with and without crashes."""

from __future__ import annotations

import pytest

from processors.rules import counting
from processors.rules.engine import Engine
from tests.processors.rules.oracle import Oracle
from tests.processors.rules.simulation import RULES, drive, script, take, told

SEEDS = 1_000


def difference(seed: int) -> str:
    """How a run differs from the oracle's; empty where it does not."""
    steps = script(seed)
    wanted = Oracle(counting.SPOOLED_MS).run(steps)
    engine = Engine(RULES)
    plain = [each for step in steps for each in told(take(engine, step))]
    if len(plain) != len(set(plain)) or set(plain) != wanted:
        return f"seed {seed}: {sorted(wanted - set(plain))} missed, {sorted(set(plain) - wanted)} too many"
    crashed = drive(seed, steps)
    if crashed != wanted:
        return f"seed {seed}, with crashes: {sorted(wanted - crashed)} missed, {sorted(crashed - wanted)} too many"
    return ""


@pytest.mark.parametrize("spooled_ms", [0, counting.SPOOLED_MS])
def test_no_seed_differs(spooled_ms: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where windows remember events for a day, and where they forget them as soon as they may."""
    monkeypatch.setattr(counting, "SPOOLED_MS", spooled_ms)
    assert [found for found in map(difference, range(spooled_ms, spooled_ms + SEEDS)) if found] == []
