"""A reader of the warehouse for commands: the SQL port of a running ``viworks up``, or a server."""

from __future__ import annotations

from urllib.parse import urlsplit

import clickhouse_connect
from clickhouse_connect.driver import Client

from infra import run_file
from infra.errors import NotRunning
from infra.settings import InfraSettings
from infra.sql_tokens import local_token


def reader(settings: InfraSettings, role: str) -> Client:
    """A client in a role of the SQL port; a server knows its user from the DSN.

    Raises:
        NotRunning: nothing runs, and no server is named.
        clickhouse_connect's errors, where it does not answer.
    """
    if settings.clickhouse:
        return clickhouse_connect.get_client(dsn=settings.clickhouse)
    run = run_file.read(settings.data_dir) or {}
    if "sql" not in run:
        raise NotRunning(f"Nothing is running in {settings.data_dir}: start it, or name a server by --clickhouse.")
    address = urlsplit(run["sql"])
    token = local_token(settings.data_dir, role)
    return clickhouse_connect.get_client(
        host=address.hostname or "", port=address.port or 0, username="viworks", password=token, database="viworks"
    )
