"""What the tests of the delivery share."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from aiokafka import AIOKafkaProducer

from infra.kafka import EmbeddedKafka
from tests.processors.delivery.harness import Bench, DeadLetterProbe
from tests.processors.delivery.http_receiver import HttpReceiver, receiving


@pytest.fixture
async def bench(kafka: EmbeddedKafka, tmp_path: Path) -> AsyncIterator[Bench]:
    async with AIOKafkaProducer(bootstrap_servers=kafka.bootstrap) as producer:
        yield Bench(kafka.bootstrap, tmp_path, producer)


@pytest.fixture
async def receiver() -> AsyncIterator[HttpReceiver]:
    async with receiving() as receiver:
        yield receiver


@pytest.fixture
async def dead(kafka: EmbeddedKafka) -> AsyncIterator[DeadLetterProbe]:
    async with DeadLetterProbe(kafka.bootstrap) as probe:
        yield probe
