"""A real broker with the contract's topics, for a whole run or for one module whose records nobody else should meet."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Iterator
from pathlib import Path

from infra.kafka import EmbeddedKafka
from infra.ports import free_port
from infra.topics import create_topics


@contextlib.contextmanager
def running_broker(directory: Path) -> Iterator[EmbeddedKafka]:
    """The embedded broker; ``bootstrap`` is its address. Bound to no event loop."""
    broker = EmbeddedKafka(directory, free_port())
    with asyncio.Runner() as runner:
        runner.run(broker.start())
        try:
            runner.run(create_topics(broker.bootstrap, replication_factor=1))
            yield broker
        finally:
            runner.run(broker.stop())
