"""What tests of all packages share: one real broker for the whole run, and brokers of their own for those that need them."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator

import pytest
from xdist.remote import Producer

from infra.kafka import EmbeddedKafka
from tests.brokers import running_broker
from tests.distribution import BySharing
from tests.figures import FIGURE, Tell, figures

# Of every Java that a test starts, however deep: a broker that lives for seconds never earns back what optimising it costs.
os.environ.setdefault("JDK_JAVA_OPTIONS", "-XX:TieredStopAtLevel=1")


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Producer) -> BySharing | None:
    """Of ``--dist loadfile``."""
    return BySharing(config, log) if config.getvalue("dist") == "loadfile" else None


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """What the tests have told, at the end."""
    told = figures(report for reports in terminalreporter.stats.values() for report in reports)
    if told:
        terminalreporter.section("figures")
    for line in told:
        terminalreporter.write_line(line)


@pytest.fixture
def tell(record_property: Callable[[str, object], None]) -> Tell:
    """Takes what a test has counted or measured: it is printed at the end, whichever process the test ran in."""
    return lambda text: record_property(FIGURE, text)


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
