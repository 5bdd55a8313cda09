"""``viworks audit``: is the audit log what was written? Read-only, and offline too."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path
from typing import Annotated

import typer

from infra.options import ClickHouse, Data, Kafka
from infra.settings import InfraSettings

audit_app = typer.Typer(help="Verify, export and list what seals the audit log.", no_args_is_help=True)


@audit_app.command()
def verify(
    export: Annotated[Path | None, typer.Option("--from", metavar="DIR", help="An export instead of the database.")] = None,
    keys: Annotated[Path | None, typer.Option(metavar="FILE", help="Public keys; default: those of the directory.")] = None,
    checkpoints: Annotated[
        list[Path] | None, typer.Option(metavar="FILE", help="A further copy that was kept elsewhere; may be repeated.")
    ] = None,
    data: Data = None,
    clickhouse: ClickHouse = None,
    kafka: Kafka = None,
) -> None:
    """Check every record, the chain, every checkpoint, and that nothing is missing. Exit status 1 where one is wrong."""
    from infra import audit_log

    settings = InfraSettings.load(data_dir=data, clickhouse=clickhouse, kafka=kafka)
    source = audit_log.exported(export) if export else asyncio.run(audit_log.running(settings))
    report = audit_log.verified(source, keys, checkpoints or [], time.time_ns() // 1_000_000)
    for fault in report.faults:
        typer.echo(fault.sentence)
    first = report.first_broken
    if first:
        typer.echo(f"First broken: {first.sentence}")
    what = f"{report.records} records, {report.checkpoints} checkpoints, {', '.join(source.compared)} compared"
    typer.echo(f"{'NOT SOUND' if report.faults else 'sound'}: {what}", err=bool(report.faults))
    if report.faults:
        raise typer.Exit(1)


@audit_app.command()
def export(
    directory: Annotated[Path, typer.Argument(metavar="DIR", help="A directory that is empty or does not exist.")],
    form: Annotated[str, typer.Option("--format", metavar="parquet|ndjson")] = "parquet",
    data: Data = None,
    clickhouse: ClickHouse = None,
    kafka: Kafka = None,
) -> None:
    """Write records, all copies of the checkpoints and the public keys, for `viworks audit verify --from DIR` anywhere."""
    from infra import audit_log

    if form not in audit_log.FORMATS:
        raise typer.BadParameter(f"{form} is not one of {', '.join(audit_log.FORMATS)}")
    settings = InfraSettings.load(data_dir=data, clickhouse=clickhouse, kafka=kafka)
    source = asyncio.run(audit_log.running(settings))
    typer.echo(f"{audit_log.write_export(source, directory, form)} records in {directory}")


@audit_app.command(name="checkpoints")
def list_checkpoints(
    last: Annotated[int, typer.Option(min=1, metavar="N", help="How many of the newest.")] = 10,
    note: Annotated[bool, typer.Option("--note", help="The newest as it was signed, to be kept elsewhere.")] = False,
    data: Data = None,
) -> None:
    """List the newest checkpoints of the file `audit/checkpoints.jsonl`; whether they are genuine says `verify`."""
    from infra import audit_log

    sealed = audit_log.listed(InfraSettings.load(data_dir=data).data_dir)
    if note:
        typer.echo(sealed[-1].note, nl=False)
        return
    for each in sealed[-last:]:
        made = each.checkpoint
        typer.echo(f"{made.sequence:>8}  {made.origin}  {made.records:>10} records  offset {made.last_offset}")
