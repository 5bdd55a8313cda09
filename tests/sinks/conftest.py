"""What the tests of the sinks share."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.sinks.warehouse import Warehouse


@pytest.fixture(scope="session")
def warehouse(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Warehouse]:
    """The embedded engine in this process, with all tables."""
    opened = Warehouse(tmp_path_factory.mktemp("warehouse"))
    yield opened
    opened.close()
