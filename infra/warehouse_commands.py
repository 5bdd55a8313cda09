"""``viworks migrate`` and ``viworks keys rotate-storage``: the warehouse's tables and the key that encrypts them."""

from __future__ import annotations

from typing import Annotated

import typer

from infra.options import Data
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
