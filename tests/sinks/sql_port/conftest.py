"""What the tests of the SQL port share."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from tests.sinks.sql_port.port import Port, open_port
from tests.sinks.warehouse import Warehouse


@pytest.fixture
async def port(warehouse: Warehouse) -> AsyncIterator[Port]:
    """An open port with the settings of the tests."""
    async with open_port(warehouse) as opened:
        yield opened
