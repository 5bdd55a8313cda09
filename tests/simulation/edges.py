"""Edges that tick, end, crash, come back, and whose clocks differ; and the partitions' logs that they write."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from random import Random

from processors.liveness import Heartbeat
from processors.watermark import Tick
from tests.simulation.limits import ACTIVE_MS, END_MS, SILENCE_MS, START_MS

TICK_MS = 500
Span = tuple[int, int]
Entry = tuple[int, Heartbeat | Tick]


@dataclass(slots=True)
class Edge:
    """One edge process. ``wrong``: while its clock is off by far more than the limit, and by how much."""

    name: str
    begins: int
    ends: int
    says_goodbye: bool
    skew: int
    wrong: tuple[Span, int] = ((0, 0), 0)
    logs: list[list[Entry]] = field(default_factory=list)

    def clock(self, at: int) -> int:
        (begins, ends), by = self.wrong
        return at + self.skew + (by if begins <= at < ends else 0)

    def append(self, partition: int, at: int, what: Heartbeat | Tick) -> None:
        self.logs[partition].append((at, what))


def edges(random: Random, partitions: int) -> list[Edge]:
    """One to three edges, each perhaps replaced by others in the course of the run."""
    found: list[Edge] = []
    for number in range(random.randint(1, 3)):
        skew = random.randint(-SILENCE_MS // 4, SILENCE_MS // 4) if random.random() < 0.5 else 0
        found += _lives(random, f"e{number}", skew, partitions)
    return found


def _lives(random: Random, name: str, skew: int, partitions: int) -> list[Edge]:
    lives: list[Edge] = []
    begins = START_MS
    while begins < END_MS:
        restarts = random.random() < 0.4 and begins < START_MS + ACTIVE_MS
        ends = begins + random.randrange(1_000, ACTIVE_MS) if restarts else END_MS + 1
        ends = ends if ends < START_MS + ACTIVE_MS else END_MS + 1
        life = Edge(f"{name}.{len(lives)}", begins, ends, random.random() < 0.6, skew, _wrong(random))
        life.logs = [[] for _ in range(partitions)]
        lives.append(life)
        begins = ends + random.choice((200, 1_500, 9_000))
    return lives


def _wrong(random: Random) -> tuple[Span, int]:
    if random.random() > 0.05:
        return (0, 0), 0
    begins = START_MS + random.randrange(ACTIVE_MS // 2)
    return (begins, begins + random.randrange(500, ACTIVE_MS // 2)), random.choice((-60_000, 60_000, 8_000))


def outages(random: Random) -> list[Span]:
    """When nothing can be written: no broker, or all hosts asleep."""
    found = []
    for _ in range(random.choice((0, 0, 1, 2))):
        begins = START_MS + random.randrange(ACTIVE_MS)
        found.append((begins, begins + random.choice((1_000, 3_000, 10_000))))
    return found


def is_within(at: int, spans: Iterable[Span]) -> bool:
    return any(begins <= at < ends for begins, ends in spans)


def tick(all_edges: Iterable[Edge], down: Sequence[Span]) -> None:
    """Write all ticks, each into every partition."""
    for edge in all_edges:
        for at in range(edge.begins, min(edge.ends, END_MS), TICK_MS):
            if not is_within(at, down):
                for log in edge.logs:
                    log.append((at, Tick(edge.name, edge.clock(at))))
        if edge.says_goodbye and edge.ends < END_MS and not is_within(edge.ends, down):
            for log in edge.logs:
                log.append((edge.ends, Tick(edge.name, edge.clock(edge.ends), last=True)))


def log_of(random: Random, all_edges: Iterable[Edge], partition: int) -> list[Entry]:
    """The partition as Kafka has it: each edge's records in their order, with a delay; what a crash caught is lost."""
    entries: list[Entry] = []
    for edge in all_edges:
        written, slow = 0, random.choice((1, 50, 400))
        for at, what in sorted(edge.logs[partition], key=_time):
            written = max(written, at + random.randrange(slow))
            if edge.says_goodbye or written <= edge.ends:
                entries.append((written, what))
    return sorted(entries, key=_time)


def _time(entry: Entry) -> int:
    return entry[0]
