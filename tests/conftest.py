"""What tests of all packages share: one real broker for the whole run, and brokers of their own for those that need them."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest
from xdist.remote import Producer

from infra.kafka import EmbeddedKafka
from tests.brokers import running_broker
from tests.distribution import BySharing

# Of every Java that a test starts, however deep: a broker that lives for seconds never earns back what optimising it costs.
os.environ.setdefault("JDK_JAVA_OPTIONS", "-XX:TieredStopAtLevel=1")


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Producer) -> BySharing | None:
    """Of ``--dist loadfile``."""
    return BySharing(config, log) if config.getvalue("dist") == "loadfile" else None


@pytest.fixture(scope="session")
def kafka(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EmbeddedKafka]:
    """The embedded broker with the contract's topics, started at first use. ``kafka.bootstrap`` is its address."""
    with running_broker(tmp_path_factory.mktemp("broker")) as broker:
        yield broker


@pytest.fixture
def own_kafka(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EmbeddedKafka]:
    """As ``kafka``, of one test alone: it may be killed or paused, has no records of others, and keeps none for them."""
    with running_broker(tmp_path_factory.mktemp("own-broker")) as broker:
        yield broker
