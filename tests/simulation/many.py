"""Many seeds, on as many processors as there are: how many, how many disagree, and what they say."""

from __future__ import annotations

import multiprocessing
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from typing import NamedTuple

from tests.simulation.verdict import disagreements

_CHUNK = 100
_SHOWN = 20
_TOLD_EVERY = 50_000


class Outcome(NamedTuple):
    """``shown``: the first disagreements, each with the seed that leads to it. ``cpu_s`` is of all processes together."""

    seeds: int
    disagreeing: int
    cpu_s: float
    shown: list[str]

    def __str__(self) -> str:
        return f"{self.seeds:,} seeds, {self.disagreeing} disagree with the oracle, {self.cpu_s:.0f} s of processor time"


def _tells_nobody(_: str) -> None:
    pass


def run(
    first: int, seeds: int, jobs: int, cpu_s: float = float("inf"), tell: Callable[[str], None] = _tells_nobody
) -> Outcome:
    """Seeds from ``first`` on, until there are so many or so much time is spent.

    ``tell`` hears of disagreements at once, and now and then of how far it is: a run that is cut off can be gone on with.
    """
    total = Outcome(0, 0, 0.0, [])
    # A child must not be forked from a process that holds threads, such as one that tests have used a broker from.
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(jobs, mp_context=context) as pool:
        for rounds in _rounds(first, seeds, jobs * 4):
            before = total.seeds
            for outcome in pool.map(_chunk, rounds):
                for fault in outcome.shown:
                    tell(fault)
                total = _sum(total, outcome)
            if total.seeds // _TOLD_EVERY > before // _TOLD_EVERY:
                tell(f"up to {first + total.seeds:,}: {total}")
            if total.cpu_s > cpu_s:
                break
    return total


def _rounds(first: int, seeds: int, width: int) -> Iterator[list[range]]:
    chunks = [range(at, min(at + _CHUNK, first + seeds)) for at in range(first, first + seeds, _CHUNK)]
    for at in range(0, len(chunks), width):
        yield chunks[at : at + width]


def _chunk(seeds: range) -> Outcome:
    started = time.process_time()
    found = {seed: disagreements(seed) for seed in seeds}
    shown = [fault for faults in found.values() for fault in faults][:_SHOWN]
    return Outcome(len(seeds), sum(1 for faults in found.values() if faults), time.process_time() - started, shown)


def _sum(one: Outcome, other: Outcome) -> Outcome:
    shown = [*one.shown, *other.shown][:_SHOWN]
    return Outcome(one.seeds + other.seeds, one.disagreeing + other.disagreeing, one.cpu_s + other.cpu_s, shown)
