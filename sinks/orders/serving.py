"""Puts the parts together that follow orders beside the sink's other work."""

from __future__ import annotations

import time

from sinks.dead_letters import DeadLetters
from sinks.engine import Engine
from sinks.orders.clerk import Clerk
from sinks.orders.follower import OrderFollower
from sinks.orders.registry import duties_of
from sinks.records import Records
from sinks.settings import SinkSettings


def follower_of(settings: SinkSettings, engine: Engine) -> OrderFollower:
    """The follower of the settings' broker and group; ``run`` it until cancelled."""
    duties = duties_of(settings, engine, _now_ms)
    clerk = Clerk(engine, duties.handlers, Records(settings.kafka).write, _now_ms)
    return OrderFollower(settings, clerk.settle, DeadLetters(settings.kafka).deliver, duties.tick)


def _now_ms() -> int:
    return time.time_ns() // 1_000_000
