"""``viworks verify``: whether the rows of the warehouse are what clients signed."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from infra.errors import KeyFileInvalid, NotRunning, RowsFaulty, SqlPortAway
from infra.moments import moment_ms
from infra.options import Data
from infra.settings import InfraSettings
from processors.durations import duration_ms

if TYPE_CHECKING:
    from sinks.proof.reading import Choice
    from sinks.proof.verification import Verifier

Ask = Callable[[str], Iterator[bytes]]

TABLES = ("registrations", "sessions", "events", "heartbeats")


def _moment_ms(text: str) -> int:
    ago_ms = duration_ms(text) if re.fullmatch(r"[0-9]{1,6}[mhd]", text) else None
    if ago_ms is not None:
        return time.time_ns() // 1_000_000 - ago_ms
    try:
        return moment_ms(text)
    except ValueError:
        raise typer.BadParameter("a time is 2026-01-31T12:00 (UTC), or how long ago, such as 30m, 2h, 7d") from None


def verify(  # noqa: PLR0913 - one parameter an option
    client: Annotated[str | None, typer.Option(metavar="CLIENT_ID", help="Only rows of this client.")] = None,
    since: Annotated[
        int | None,
        typer.Option(metavar="TIME", parser=_moment_ms, help="Only rows accepted since: 2026-01-31T12:00, 2h, 7d."),
    ] = None,
    row: Annotated[str | None, typer.Option(metavar="TABLE:TOPIC:PARTITION:OFFSET", help="Only this row.")] = None,
    table: Annotated[str | None, typer.Option(metavar="|".join(TABLES), help="Only this table.")] = None,
    limit: Annotated[int, typer.Option(min=0, help="At most so many rows of a table; 0 for all.")] = 0,
    soc_key: Annotated[
        Path | None, typer.Option(metavar="FILE", help="The SOC's private key: it opens sealed proofs.")
    ] = None,
    clickhouse: Annotated[str | None, typer.Option(metavar="DSN", help="Ask this server, not the SQL port.")] = None,
    data: Data = None,
) -> None:
    """Verify the signatures of rows against the history of keys, and their columns against what was signed.

    A line for each fault; the status is 1 where there is one.
    """
    from sinks.proof.reading import Choice, RowName

    if client is None and since is None and row is None:
        raise typer.BadParameter("name a --client, a --since or a --row")
    if table is not None and table not in TABLES:
        raise typer.BadParameter(f"the tables are {', '.join(TABLES)}", param_hint="--table")
    try:
        name = RowName.parse(row) if row is not None else None
    except ValueError as error:
        raise typer.BadParameter(f"{error}; the tables are {', '.join(TABLES)}", param_hint="--row") from None
    settings = InfraSettings.load(data_dir=data, clickhouse=clickhouse)
    ask, choice = _source(settings), Choice(client, since, name, limit)
    verifier = _verifier(ask, client, settings, soc_key)
    tables = [name.table] if name else [table] if table else list(TABLES)
    faults = _verified(ask, tables, choice, verifier)
    if faults:
        raise RowsFaulty(f"{faults} rows are not what was signed; they are named above.")


def _verifier(ask: Ask, client: str | None, settings: InfraSettings, soc_key: Path | None) -> Verifier:
    from sinks.proof.keys import KeyHistory
    from sinks.proof.reading import keys_of, keys_query
    from sinks.proof.soc import SocKey
    from sinks.proof.verification import Verifier
    from viworks.soc import key_file, passphrases
    from viworks.soc.errors import SocError

    try:
        key = SocKey(key_file.read(soc_key, lambda: passphrases.ask(1, None))) if soc_key else None
    except SocError as error:
        raise KeyFileInvalid(f"The SOC's key: {error}.") from None
    return Verifier(KeyHistory(keys_of(ask(keys_query(client))), settings.key_overlap_s * 1000), key)


def _verified(ask: Ask, tables: list[str], choice: Choice, verifier: Verifier) -> int:
    """Print faults and counts; return how many faults there are."""
    import msgspec

    from infra.verification import Report, verify_tables

    report = Report()
    try:
        for line in verify_tables(ask, tables, choice, verifier, report):
            typer.echo(line)
    except msgspec.DecodeError:
        raise SqlPortAway("The answer broke off: ask for less, by --table, --since or --limit.") from None
    for line in report.lines():
        typer.echo(line)
    return report.faults


def _source(settings: InfraSettings) -> Ask:
    """A server by its DSN, else the SQL port of the running system, as its admin: others do not see signatures."""
    if settings.clickhouse:
        import clickhouse_connect

        server = clickhouse_connect.get_client(dsn=settings.clickhouse)
        return lambda sql: iter(server.raw_stream(sql, fmt="JSONEachRow"))
    from infra import run_file
    from infra.sql_client import SqlClient
    from infra.sql_tokens import local_token

    content = run_file.read(settings.data_dir)
    if content is None:
        raise NotRunning(f"Nothing is running in {settings.data_dir}: start it by `viworks up`.")
    port = SqlClient(content["sql"], local_token(settings.data_dir, "admin"))
    return lambda sql: port.run(sql, "JSONEachRow")
