"""What parts there were when the job looked last, so that it sees what went without it."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterable, Mapping
from pathlib import Path

import msgspec

from sinks.retention.parts import Part, Place

log = logging.getLogger(__name__)


class Seen(msgspec.Struct, frozen=True):
    """The parts of one table by name.

    Attributes:
        identity: the table's.
        entries: how many the manifest had then: what it said before explains nothing that went since.
    """

    identity: str
    parts: dict[str, Part]
    entries: int = 0


class Snapshot(msgspec.Struct):
    """By table what was seen when its last pass ended. A pass that is cut short leaves what was seen before it."""

    tables: dict[str, Seen] = {}


def vanished(before: Mapping[str, Part], now: Mapping[str, Place], explained: Iterable[str]) -> list[Part]:
    """The parts of before whose rows are in no part of now: neither under their name, nor merged, nor mutated."""
    known = set(explained)
    by_partition: dict[str, list[Place]] = {}
    for place in now.values():
        by_partition.setdefault(place.partition, []).append(place)
    return [
        part
        for name, part in before.items()
        if name not in now
        and name not in known
        and not any(place.covers(part.place) for place in by_partition.get(part.place.partition, ()))
    ]


def load(path: Path) -> Snapshot:
    """What was saved; an empty one where there is none, or none that can be read."""
    try:
        return msgspec.json.decode(path.read_bytes(), type=Snapshot)
    except FileNotFoundError:
        return Snapshot()
    except (OSError, msgspec.DecodeError) as error:
        log.error("what parts there were cannot be read, so what went since is not seen: %s", type(error).__name__)
        return Snapshot()


def save(path: Path, snapshot: Snapshot) -> None:
    """Return once the disk has it. Raises OSError."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    new = path.with_suffix(".new")
    with new.open("wb") as file:
        file.write(msgspec.json.encode(snapshot))
        file.flush()
        os.fsync(file.fileno())
    new.replace(path)
