"""What the tests of the processors share."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from infra.kafka import EmbeddedKafka
from processors.settings import ProcessorSettings
from tests.processors.harness import Lab, worker_settings


@pytest.fixture(scope="module")
def settings(kafka: EmbeddedKafka, tmp_path_factory: pytest.TempPathFactory) -> ProcessorSettings:
    """A group of its own for each module: its workers go on where the last one stopped."""
    return worker_settings(kafka.bootstrap, tmp_path_factory.mktemp("worker"))


@pytest.fixture
async def lab(kafka: EmbeddedKafka) -> AsyncIterator[Lab]:
    async with Lab(kafka.bootstrap) as lab:
        yield lab
