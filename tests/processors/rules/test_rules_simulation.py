"""The engine against the oracle, over many seeds, with and without crashes."""

from __future__ import annotations

from processors.rules.engine import Engine
from tests.processors.rules.oracle import Oracle
from tests.processors.rules.simulation import RULES, drive, script, take, told

SEEDS = 2_000


def difference(seed: int) -> str:
    """How a run differs from the oracle's; empty where it does not."""
    steps = script(seed)
    wanted = Oracle().run(steps)
    engine = Engine(RULES)
    plain = [each for step in steps for each in told(take(engine, step))]
    if len(plain) != len(set(plain)) or set(plain) != wanted:
        return f"seed {seed}: {sorted(wanted - set(plain))} missed, {sorted(set(plain) - wanted)} too many"
    crashed = drive(seed, steps)
    if crashed != wanted:
        return f"seed {seed}, with crashes: {sorted(wanted - crashed)} missed, {sorted(crashed - wanted)} too many"
    return ""


def test_no_seed_differs() -> None:
    assert [found for found in map(difference, range(SEEDS)) if found] == []
