"""What tests of all packages share: one real broker for the whole run."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from infra.kafka import EmbeddedKafka
from tests.brokers import running_broker


@pytest.fixture(scope="session")
def kafka(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EmbeddedKafka]:
    """The embedded broker with the contract's topics, started at first use. ``kafka.bootstrap`` is its address."""
    with running_broker(tmp_path_factory.mktemp("broker")) as broker:
        yield broker
