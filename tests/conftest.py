"""What tests of all packages share: one real broker for the whole run."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator

import pytest

from infra.kafka import EmbeddedKafka
from infra.ports import free_port
from infra.topics import create_topics


@pytest.fixture(scope="session")
def kafka(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EmbeddedKafka]:
    """The embedded broker with the contract's topics, started at first use. ``kafka.bootstrap`` is its address."""
    broker = EmbeddedKafka(tmp_path_factory.mktemp("broker"), free_port())
    with asyncio.Runner() as runner:
        runner.run(broker.start())
        runner.run(create_topics(broker.bootstrap, replication_factor=1))
        try:
            yield broker
        finally:
            runner.run(broker.stop())
