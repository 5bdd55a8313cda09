"""A reader of the warehouse for commands: the SQL port of a running ``viworks up``, or a server."""

from __future__ import annotations

import logging
from typing import Any
from urllib.parse import urlsplit

import clickhouse_connect
from clickhouse_connect.driver import Client
from clickhouse_connect.driver.exceptions import ClickHouseError

from infra import run_file
from infra.errors import NotRunning, WarehouseUnusable
from infra.settings import InfraSettings
from infra.sql_tokens import local_token

# It says on stderr, too, what it raises.
logging.getLogger("clickhouse_connect").addHandler(logging.NullHandler())


def reader(settings: InfraSettings, role: str) -> Client:
    """A client in a role of the SQL port; a server knows its user from the DSN.

    Raises:
        NotRunning: nothing runs, and no server is named.
        WarehouseUnusable: it does not answer, or does not let us in.
    """
    if settings.clickhouse:
        return connected(dsn=settings.clickhouse)
    run = run_file.read(settings.data_dir) or {}
    if "sql" not in run:
        raise NotRunning(f"Nothing is running in {settings.data_dir}: start it, or name a server by --clickhouse.")
    address = urlsplit(run["sql"])
    token = local_token(settings.data_dir, role)
    return connected(
        host=address.hostname or "", port=address.port or 0, username="viworks", password=token, database="viworks"
    )


def connected(**where: Any) -> Client:
    """A client of ``clickhouse_connect.get_client``'s arguments. Raises WarehouseUnusable."""
    try:
        return clickhouse_connect.get_client(**where)
    except (ClickHouseError, OSError, ValueError) as error:
        # Without the text, which repeats the address and may repeat its password.
        raise WarehouseUnusable(
            f"The warehouse does not answer, or does not let us in ({type(error).__name__}): see whether `viworks up` runs, "
            "or that --clickhouse or VIWORKS_CLICKHOUSE names a server with its user and password."
        ) from None
