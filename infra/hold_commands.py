"""``viworks hold``: keep rows beyond their time, for a court or an investigation. Orders to the sink (``sinks.holds``)."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any

import typer

from infra.errors import OrderRefused
from infra.moments import moment_ms
from infra.options import Actor, ClickHouse, Data, Kafka, broker_of
from infra.settings import InfraSettings

hold_app = typer.Typer(help="Legal holds: rows that outlive their retention.", no_args_is_help=True)

_Name = Annotated[str, typer.Argument(metavar="NAME", help="Such as case-2026-17.")]
_Reason = Annotated[str, typer.Option(help="For the audit.")]
# Copying what a hold names may take longer than other orders.
_WITHIN_S = 3_600.0


def _moment(text: str) -> int:
    try:
        return moment_ms(text)
    except ValueError:
        raise typer.BadParameter("a time is like 2026-11-24T18:00:00Z") from None


@hold_app.command(name="set")
def set_hold(  # noqa: PLR0913 - one parameter an option
    name: _Name,
    client: Annotated[list[str] | None, typer.Option(metavar="CLIENT_ID", help="Whose rows; may be repeated.")] = None,
    since: Annotated[int | None, typer.Option("--from", metavar="TIME", parser=_moment, help="Rows from then on.")] = None,
    until: Annotated[int | None, typer.Option("--to", metavar="TIME", parser=_moment, help="Rows before then.")] = None,
    table: Annotated[list[str] | None, typer.Option(help="Only of this table; may be repeated.")] = None,
    reason: _Reason = "",
    data: Data = None,
    kafka: Kafka = None,
    actor: Actor = None,
) -> None:
    """Keep rows of clients, of a span of time, or of both, also those that are still to come, until the hold is released."""
    body = {"client_ids": client or [], "tables": table or [], "since_ms": since, "until_ms": until, "reason": reason}
    details = _order(name, "hold.set", body, data, kafka, actor)
    typer.echo(f"hold {name} is in force; found:")
    for each, rows in details["rows"].items():
        typer.echo(f"{each:<24}{rows:>12} rows")


@hold_app.command()
def release(name: _Name, reason: _Reason = "", data: Data = None, kafka: Kafka = None, actor: Actor = None) -> None:
    """End a hold: what only it kept is deleted, and the manifest says so."""
    details = _order(name, "hold.release", {"reason": reason}, data, kafka, actor)
    typer.echo(f"hold {name} is released; deleted: {sum(details['rows'].values())} rows")


@hold_app.command(name="list")
def list_holds(data: Data = None, clickhouse: ClickHouse = None) -> None:
    """Show the holds that are in force."""
    from infra.retention_report import holds
    from infra.warehouse_reader import asking

    with asking(InfraSettings.load(data_dir=data, clickhouse=clickhouse)) as ask:
        found = holds(ask)
    for hold in found:
        clients = ", ".join(hold["client_ids"]) or "everybody"
        span = f"{_shown(hold['since_ms'])} to {_shown(hold['until_ms'])}"
        typer.echo(f"{hold['name']}  {clients}  {span}  {', '.join(hold['tables'])}  by {hold['actor']}: {hold['reason']}")


def _order(
    subject: str, action: str, body: dict[str, Any], data: Path | None, kafka: str | None, actor: str | None
) -> dict[str, Any]:
    from infra.administration import carried_out, order, user_name
    from schemas.topics import WAREHOUSE_ORDERS

    given = order(broker_of(data, kafka), subject, action, body, actor or user_name(), _WITHIN_S, WAREHOUSE_ORDERS)
    verdict = asyncio.run(given)
    if verdict["outcome"] == "failed":
        raise OrderRefused(f"Not carried out: {verdict['details'].get('reason')}. It may be given again.")
    return carried_out(verdict)


def _shown(ms: int | None) -> str:
    return "any time" if ms is None else datetime.fromtimestamp(ms / 1_000, UTC).isoformat(timespec="seconds")
