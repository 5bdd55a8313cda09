"""The engine against the oracle, over many seeds, with and without crashes."""

from __future__ import annotations

from processors.rules.engine import Engine
from tests.processors.rules.oracle import Oracle
from tests.processors.rules.simulation import RULES, drive, script, told

SEEDS = 2_000


def difference(seed: int) -> str:
    """How a run differs from the oracle's; empty where it does not."""
    steps = script(seed)
    wanted = Oracle().run(steps)
    engine = Engine(RULES)
    plain = [
        each
        for step in steps
        for each in told(engine.advance(step.clock_ms) if step.signal is None else engine.observe(step.signal))
    ]
    if len(plain) != len(set(plain)) or set(plain) != wanted:
        return f"seed {seed}: {sorted(wanted - set(plain))} missed, {sorted(set(plain) - wanted)} too many"
    crashed = drive(seed, steps)
    if crashed != wanted:
        return f"seed {seed}, with crashes: {sorted(wanted - crashed)} missed, {sorted(crashed - wanted)} too many"
    return ""


def test_no_seed_differs() -> None:
    found = [difference(seed) for seed in range(SEEDS)]
    wrong = [each for each in found if each]
    print(f"{SEEDS} seeds, {len(wrong)} disagreements")
    assert wrong == []
