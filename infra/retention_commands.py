"""``viworks retention``: what is kept for how long, and whether the manifest of what was dropped is what was written."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Annotated

import typer

from infra.errors import ManifestUnreadable
from infra.options import Actor, ClickHouse, Data, Kafka, broker_of
from infra.settings import InfraSettings

retention_app = typer.Typer(help="What is kept for how long, and what was dropped.", invoke_without_command=True)

_WITHIN_S = 600.0


@retention_app.callback()
def retention(
    context: typer.Context,
    as_json: Annotated[bool, typer.Option("--json", help="For programs.")] = False,
    data: Data = None,
    clickhouse: ClickHouse = None,
    kafka: Kafka = None,
) -> None:
    """Show each table and topic: the policy, what is there, what goes next. Exit status 1 where a topic has a fault."""
    if context.invoked_subcommand is not None:
        return
    from infra import retention_report
    from infra.administration import bootstrap_of
    from infra.warehouse_reader import asking

    settings = InfraSettings.load(data_dir=data, clickhouse=clickhouse, kafka=kafka)
    with asking(settings) as ask:
        tables = retention_report.tables(ask)
        topics = asyncio.run(retention_report.topics(bootstrap_of(settings), ask))
    if as_json:
        typer.echo(json.dumps({"tables": tables, "topics": topics}, indent=2))
    else:
        for line in (*retention_report.table_lines(tables), "", *retention_report.topic_lines(topics)):
            typer.echo(line)
    if any(each["fault"] for each in topics):
        raise typer.Exit(1)


@retention_app.command()
def run(data: Data = None, kafka: Kafka = None, actor: Actor = None) -> None:
    """Drop what has expired now, rather than with the next pass of the job."""
    from infra.administration import carried_out, order, user_name
    from schemas.commands import RETENTION
    from schemas.topics import WAREHOUSE_ORDERS

    given = order(broker_of(data, kafka), RETENTION, "retention.run", {}, actor or user_name(), _WITHIN_S, WAREHOUSE_ORDERS)
    details = carried_out(asyncio.run(given))
    typer.echo(f"{details['rows']} rows dropped")
    for table, fault in details["faults"].items():
        typer.echo(f"{table}: {fault}", err=True)
    if details["faults"] or details["overdue"]:
        raise typer.Exit(1)


@retention_app.command()
def verify(
    file: Annotated[Path | None, typer.Argument(metavar="FILE", help="Default: retention/manifest.jsonl.")] = None,
    keys: Annotated[Path | None, typer.Option(metavar="FILE", help="Public keys; default: those of the directory.")] = None,
    data: Data = None,
) -> None:
    """Check every signature of the manifest and its chain, offline. Exit status 1 where one is wrong."""
    from sinks.audit.files import read_notes
    from sinks.audit.signing_key import read_public_keys
    from sinks.errors import KeyFileUnusable
    from sinks.retention import verification
    from sinks.retention.manifest import file_of

    data_dir = InfraSettings.load(data_dir=data).data_dir
    path = file or file_of(data_dir)
    try:
        report = verification.verify(read_notes(path), read_public_keys(keys or data_dir / "audit" / "public-keys"))
    except (OSError, KeyFileUnusable) as error:
        what = str(error) if isinstance(error, KeyFileUnusable) else f"{path} cannot be read: {type(error).__name__}."
        raise ManifestUnreadable(f"The manifest cannot be verified: {what}") from None
    for fault in report.faults:
        typer.echo(fault)
    for entry in report.open.values():
        typer.echo(f"Entry {entry.sequence} is not completed: {entry.dropped.table} {entry.dropped.partition}")
    said = f"{report.entries} entries, {report.rows} rows dropped, {len(report.open)} not completed"
    typer.echo(f"{'NOT SOUND' if report.faults else 'sound'}: {said}", err=bool(report.faults))
    if report.faults:
        raise typer.Exit(1)
