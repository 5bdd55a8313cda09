"""Asks the warehouse for commands: a server by its DSN, else the SQL port of the running system."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import msgspec

from infra import run_file
from infra.errors import NotRunning, SqlPortAway, WarehouseUnusable
from infra.settings import InfraSettings
from infra.sql_client import SqlClient
from infra.sql_tokens import local_token

if TYPE_CHECKING:
    from clickhouse_connect.driver import Client

Ask = Callable[[str], Iterator[bytes]]

# It says on stderr, too, what it raises.
logging.getLogger("clickhouse_connect").addHandler(logging.NullHandler())


@contextmanager
def asking(settings: InfraSettings) -> Iterator[Ask]:
    """A function that runs a query as the admin and gives its answer as JSONEachRow, in pieces.

    Raises NotRunning, WarehouseUnusable.
    """
    if settings.clickhouse:
        with closing(_connected(dsn=settings.clickhouse)) as server:
            yield lambda sql: iter(server.raw_stream(sql, fmt="JSONEachRow"))
        return
    with closing(SqlClient(_sql_port(settings), local_token(settings.data_dir, "admin"))) as port:
        yield lambda sql: port.run(sql, "JSONEachRow")


def reader(settings: InfraSettings, role: str) -> Client:
    """clickhouse-connect's client in a role of the SQL port; a server knows its user from the DSN.

    Raises:
        NotRunning: nothing runs, and no server is named.
        WarehouseUnusable: it does not answer, or does not let us in.
    """
    if settings.clickhouse:
        return _connected(dsn=settings.clickhouse)
    address = urlsplit(_sql_port(settings))
    token = local_token(settings.data_dir, role)
    return _connected(
        host=address.hostname or "", port=address.port or 0, username="viworks", password=token, database="viworks"
    )


def rows(ask: Ask, sql: str) -> list[dict[str, Any]]:
    """All rows of a small answer; 64-bit integers stand as text where the server quotes them. Raises SqlPortAway."""
    try:
        return [msgspec.json.decode(line, type=dict[str, Any]) for line in b"".join(ask(sql)).splitlines()]
    except msgspec.DecodeError:
        raise SqlPortAway("The answer of the SQL port broke off.") from None


def _sql_port(settings: InfraSettings) -> str:
    content = run_file.read(settings.data_dir) or {}
    if "sql" not in content:
        raise NotRunning(f"Nothing is running in {settings.data_dir}: start it, or name a server by --clickhouse.")
    return str(content["sql"])


def _connected(**where: Any) -> Client:
    import clickhouse_connect
    from clickhouse_connect.driver.exceptions import ClickHouseError

    try:
        return clickhouse_connect.get_client(**where)
    except (ClickHouseError, OSError, ValueError) as error:
        # Without the text, which repeats the address and may repeat its password.
        raise WarehouseUnusable(
            f"The warehouse does not answer, or does not let us in ({type(error).__name__}): see whether `viworks up` runs, "
            "or that --clickhouse or VIWORKS_CLICKHOUSE names a server with its user and password."
        ) from None
