"""Which orders the warehouse carries out: one table of actions."""

from __future__ import annotations

from sinks.engine import Engine
from sinks.orders.order import Handler
from sinks.settings import SinkSettings


def handlers_of(settings: SinkSettings, engine: Engine) -> dict[str, Handler]:
    """The handler of each action (``schemas.commands``)."""
    return {}
