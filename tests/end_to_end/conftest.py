"""One running system for all end-to-end tests that do not stop it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from clickhouse_connect.driver.client import Client as ClickHouse

from tests.end_to_end.system import System

DEMO = 5
INTERVAL_S = 1


@pytest.fixture(scope="package")
def system(tmp_path_factory: pytest.TempPathFactory) -> Iterator[System]:
    with System(tmp_path_factory.mktemp("up") / "data", DEMO, INTERVAL_S) as started:
        yield started


@pytest.fixture(scope="package")
def sql(system: System) -> Iterator[ClickHouse]:
    client = system.sql()
    yield client
    client.close()


@pytest.fixture(scope="package")
def admin_sql(system: System) -> Iterator[ClickHouse]:
    client = system.sql("admin")
    yield client
    client.close()
