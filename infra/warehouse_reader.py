"""Asks the warehouse, as its admin: a server by its DSN, else the SQL port of the running system."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from typing import Any

import msgspec

from infra import run_file
from infra.errors import NotRunning, SqlPortAway
from infra.settings import InfraSettings
from infra.sql_client import SqlClient
from infra.sql_tokens import local_token

Ask = Callable[[str], Iterator[bytes]]


@contextmanager
def asking(settings: InfraSettings) -> Iterator[Ask]:
    """A function that runs a query and gives its answer as JSONEachRow, in pieces. Raises NotRunning, WarehouseUnusable."""
    if settings.clickhouse:
        from infra.sql_reader import connected

        with closing(connected(dsn=settings.clickhouse)) as server:
            yield lambda sql: iter(server.raw_stream(sql, fmt="JSONEachRow"))
        return
    content = run_file.read(settings.data_dir)
    if content is None:
        raise NotRunning(f"Nothing is running in {settings.data_dir}: start it by `viworks up`.")
    with closing(SqlClient(content["sql"], local_token(settings.data_dir, "admin"))) as port:
        yield lambda sql: port.run(sql, "JSONEachRow")


def rows(ask: Ask, sql: str) -> list[dict[str, Any]]:
    """All rows of a small answer; 64-bit integers stand as text where the server quotes them. Raises SqlPortAway."""
    try:
        return [msgspec.json.decode(line, type=dict[str, Any]) for line in b"".join(ask(sql)).splitlines()]
    except msgspec.DecodeError:
        raise SqlPortAway("The answer of the SQL port broke off.") from None
