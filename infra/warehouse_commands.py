"""``viworks migrate``, ``viworks keys rotate-storage``, ``viworks erase``."""

from __future__ import annotations

import asyncio
from typing import Annotated

import typer

from infra.options import Actor, Data, Kafka, broker_of
from infra.settings import InfraSettings

ClickHouse = Annotated[
    str | None, typer.Option("--clickhouse", metavar="DSN", help="A server (VIWORKS_CLICKHOUSE); default: the embedded one.")
]


def migrate(
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Print what would be done, and change nothing.")] = False,
    cluster: Annotated[
        str | None, typer.Option(metavar="NAME", help="Of replicas that all get the tables (VIWORKS_CLICKHOUSE_CLUSTER).")
    ] = None,
    data: Data = None,
    clickhouse: ClickHouse = None,
) -> None:
    """Bring the tables up to this version. A sink does so at its start, too; on a server this may be done before it."""
    from infra import warehouse

    settings = InfraSettings.load(data_dir=data, clickhouse=clickhouse)
    with warehouse.opened(settings, cluster) as (session, chosen):
        for line in warehouse.planned(session, chosen) if dry_run else warehouse.migrated(session, chosen):
            typer.echo(line)


def rotate_storage(
    data: Data = None,
    clickhouse: ClickHouse = None,
    wait: Annotated[float, typer.Option(metavar="SECONDS", min=0, help="How long to wait for a running sink.")] = 3600.0,
) -> None:
    """Encrypt the warehouse by a new key. May be begun again at any point; it goes on where it was."""
    from infra import storage_rotation

    settings = InfraSettings.load(data_dir=data, clickhouse=clickhouse)
    typer.echo(storage_rotation.rotate(settings, wait, lambda line: typer.echo(line, err=True)))


def erase(
    client_id: Annotated[str, typer.Argument(metavar="CLIENT_ID")],
    reason: Annotated[str, typer.Option(help="For the audit.")] = "",
    settle: Annotated[float, typer.Option(metavar="SECONDS", min=0, help="For what is under way to the warehouse.")] = 10.0,
    data: Data = None,
    clickhouse: ClickHouse = None,
    kafka: Kafka = None,
    actor: Actor = None,
) -> None:
    """Erase a client: its keys end, its rows go, and what the audit log calls it means nothing any more. For good."""
    from infra.administration import user_name
    from infra.erasure import Erasing
    from infra.warehouse_reader import reader

    settings = InfraSettings.load(data_dir=data, clickhouse=clickhouse, kafka=kafka)
    erasing = Erasing(broker_of(data, kafka), reader(settings, "admin"), actor or user_name(), settle)
    done = asyncio.run(erasing.erase(client_id, reason))
    for what in ("deleted", "renamed"):
        for table, rows in sorted(done[what].items()):
            typer.echo(f"{what:<8}  {table:<28}  {rows} rows")
    if done["kept"]:
        typer.echo(f"kept      {'audit_log':<28}  {done['kept']} rows that name it themselves, until {done['kept_until']}")
    typer.echo(f"erased; the audit log knows it as {done['pseudonym']}", err=True)
