"""Whether an edge can do its work, part by part: what ``/livez`` and ``/readyz`` say.

Each part adds a named check to ``Edge.checks``. A part that is ``required`` makes the edge unready, so that a load balancer
sends nobody there. The others are only named: while the registry is silent nobody can enrol, but taking the edge out of
service would lose every heartbeat besides.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Literal, NamedTuple

import msgspec
from aiokafka import AIOKafkaConsumer

from ingest.clock import Clock

OK = "ok"
AWAY = "away"
SILENT = "silent"

PULSE_LIMIT_MS = 5_000
"""A consumer asks the broker four times a second; one that got no answer for so long has lost it, or has stalled."""


class Check(NamedTuple):
    """``state`` gives ``ok`` or a word for the fault, quickly and without an error."""

    state: Callable[[], str]
    required: bool = True


Checks = Mapping[str, Check]


class Alive(msgspec.Struct, frozen=True, kw_only=True):
    """The process answers."""

    alive: Literal[True] = True


class Readiness(msgspec.Struct, frozen=True, kw_only=True):
    """Whether requests can be served, and the state of each part: ``ok``, ``away`` or ``silent``."""

    ready: bool
    parts: dict[str, str]


def readiness(checks: Checks) -> Readiness:
    """Ask every part."""
    parts = {name: check.state() for name, check in checks.items()}
    return Readiness(ready=all(parts[name] == OK for name, check in checks.items() if check.required), parts=parts)


def following(consumer: AIOKafkaConsumer, clock: Clock) -> str:
    """``ok`` while every assigned partition is being read, ``away`` once the broker has not answered for a while.

    A consumer of aiokafka can stall without an error (aio-libs/aiokafka 847, 1154); this tells.
    """
    partitions = consumer.assignment()
    polled = [consumer.last_poll_timestamp(partition) or 0 for partition in partitions]
    return OK if polled and clock() - min(polled) <= PULSE_LIMIT_MS else AWAY
