"""From the tables that a worker has recovered to what each partition of the fleet starts with. Pure."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from aiokafka.partitioner import murmur2

from processors.checkpoint import Checkpoint, clock_partition, read_clock, read_last_seen
from processors.fleet import Restored
from processors.liveness import ClientState, Transition, from_record
from schemas import codec
from schemas.topics import CLIENTS, LIVENESS

Items = Iterable[tuple[bytes, bytes]]


@dataclass(slots=True)
class Recovered:
    """What there is of one partition. ``clients``: records of the registry on those of whom nothing else is known."""

    transitions: dict[str, Transition] = field(default_factory=dict)
    seen: dict[str, ClientState] = field(default_factory=dict)
    checkpoint: Checkpoint = field(default_factory=Checkpoint)
    clients: list[dict[str, Any]] = field(default_factory=list)

    def of_the_fleet(self) -> Restored:
        """What ``FleetPartition`` is made of."""
        return Restored(self.transitions.values(), self.seen, self.checkpoint)


def recovered(transitions: Items, kept: Items, clients: Items) -> dict[int, Recovered]:
    """By partition. Raises CodecError, ValueError for values that nobody of us wrote."""
    found: defaultdict[int, Recovered] = defaultdict(Recovered)
    known: set[bytes] = set()
    for key, value in transitions:
        known.add(key)
        transition = from_record(codec.decode_as(LIVENESS.schemas[0], value))
        found[_partition_of(key)].transitions[transition.client_id] = transition
    for key, value in kept:
        partition = clock_partition(key)
        if partition is not None:
            found[partition].checkpoint = read_clock(value)
            continue
        known.add(key)
        found[_partition_of(key)].seen[key.decode()] = read_last_seen(value)
    for key, value in clients:
        if key not in known:
            found[_partition_of(key)].clients.append(codec.decode_as(CLIENTS.schemas[0], value))
    return dict(found)


def _partition_of(key: bytes) -> int:
    return int((murmur2(key) & 0x7FFFFFFF) % LIVENESS.partitions)
