"""One seed's world: what stands in each partition in the end."""

from __future__ import annotations

from random import Random
from typing import NamedTuple

from processors.liveness import Heartbeat
from processors.watermark import Tick
from tests.simulation.clients import heartbeats
from tests.simulation.edges import Edge, Span, edges, is_within, log_of, outages, tick
from tests.simulation.limits import ACTIVE_MS, START_MS
from tests.simulation.network import a_network


class Registered(NamedTuple):
    """The registry has taken a client, or taken it back. It stands in the log where the processor hears of it."""

    client_id: str
    at: int
    revoked: bool = False


Record = Heartbeat | Tick | Registered
Log = list[Record]


def logs(random: Random) -> list[Log]:
    """The logs of all partitions."""
    partitions = random.randint(1, 2)
    all_edges, down = edges(random, partitions), outages(random)
    tick(all_edges, down)
    said: list[list[tuple[int, Registered]]] = [[] for _ in range(partitions)]
    for number in range(random.randint(2, 5)):
        name, partition = f"c{number}", number % partitions
        said[partition] += _registrations(random, name)
        if random.random() < 0.9:
            _send(random, name, partition, all_edges, down)
    return [_merged(log_of(random, all_edges, each), said[each]) for each in range(partitions)]


def _send(random: Random, name: str, partition: int, all_edges: list[Edge], down: list[Span]) -> None:
    network = a_network(random)
    for sent, beat in heartbeats(random, name):
        for at in network.arrivals(random, sent):
            open_ = [edge for edge in all_edges if edge.begins <= at < edge.ends]
            if open_ and not is_within(at, down):
                edge = random.choice(open_)
                edge.append(partition, at, beat._replace(received_at=edge.clock(at)))


def _registrations(random: Random, name: str) -> list[tuple[int, Registered]]:
    if random.random() < 0.4:
        return []
    at = START_MS + random.randrange(ACTIVE_MS // 2)
    found = [(at, Registered(name, at))]
    if random.random() < 0.2:
        later = at + random.randrange(10_000)
        found.append((later, Registered(name, later, revoked=True)))
    return found


def _merged(entries: list[tuple[int, Heartbeat | Tick]], said: list[tuple[int, Registered]]) -> Log:
    both: list[tuple[int, Record]] = [*said, *entries]
    return [record for _, record in sorted(both, key=lambda each: each[0])]
