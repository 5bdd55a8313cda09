"""The subcommands of ``viworks``. Each imports what it needs itself: every part starts through here."""

from __future__ import annotations

import asyncio
import logging
from importlib.metadata import version as distribution_version
from pathlib import Path
from typing import Annotated

import typer

from infra.alert_commands import alerts_app, rules_app
from infra.audit_commands import audit_app
from infra.delivery_commands import receivers_app
from infra.dlq_commands import dlq_app
from infra.errors import ClientUnknown, InfraError, NotRunning
from infra.fleet_commands import fleet
from infra.hold_commands import hold_app
from infra.identity_commands import clients_app, enroll, keys_app, unenroll
from infra.options import Data
from infra.parts import ENTRIES, run_part
from infra.policy_commands import policy_app
from infra.replay_commands import replay
from infra.retention_commands import retention_app
from infra.settings import InfraSettings
from infra.soc_commands import add_soc_commands
from infra.sql_commands import sql_app
from infra.verify_commands import verify
from infra.warehouse_commands import erase, migrate, rotate_storage

app = typer.Typer(
    help="ViWorkS ingest: signed client telemetry into Kafka and ClickHouse.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)

demo_app = typer.Typer(help="Steer the simulated clients of `up --demo N`.", no_args_is_help=True)
app.add_typer(demo_app, name="demo")
app.add_typer(policy_app, name="policy")
app.add_typer(receivers_app, name="receivers")
app.add_typer(clients_app, name="clients")
app.add_typer(keys_app, name="keys")
app.add_typer(audit_app, name="audit")
app.add_typer(retention_app, name="retention")
app.add_typer(hold_app, name="hold")
app.add_typer(alerts_app, name="alerts")
app.add_typer(rules_app, name="rules")
app.add_typer(dlq_app, name="dlq")
app.add_typer(sql_app, name="sql")
app.command()(enroll)
app.command()(unenroll)
app.command()(replay)
app.command()(verify)
add_soc_commands(app)
app.command()(migrate)
app.command()(erase)
keys_app.command(name="rotate-storage")(rotate_storage)
app.command()(fleet)

_MOST_CLIENTS = 10_000
_ClientId = Annotated[str, typer.Argument(metavar="CLIENT_ID", help="Such as demo-0001.")]


def run() -> int:
    """Run the command line; every error that users can mend becomes one sentence on stderr and status 1."""
    try:
        app()
    except InfraError as error:
        typer.secho(f"viworks: {error}", err=True, fg=typer.colors.RED)
        for line in error.detail:
            typer.echo(f"    {line}", err=True)
        return 1
    except KeyboardInterrupt:
        return 130
    return 0


@app.command()
def up(
    demo: Annotated[int | None, typer.Option(min=0, help="Run this many simulated clients too.")] = None,
    data: Data = None,
    kafka: Annotated[str | None, typer.Option(metavar="HOST:PORT", help="Use this broker, not the embedded one.")] = None,
    clickhouse: Annotated[str | None, typer.Option(metavar="DSN", help="Use this server, not the embedded one.")] = None,
) -> None:
    """Start everything and keep it running until Ctrl-C."""
    from infra.durable_files import private_directory
    from infra.log_lines import configure_logging
    from infra.supervisor import Supervisor
    from infra.terminal import Terminal

    settings = InfraSettings.load(demo=demo, data_dir=data, kafka=kafka, clickhouse=clickhouse)
    logs = private_directory(settings.data_dir / "logs")
    configure_logging(logging.FileHandler(logs / "supervisor.log"))
    asyncio.run(Supervisor(settings, Terminal()).run())


@app.command(name="run")
def run_command(part: Annotated[str, typer.Argument(metavar="|".join(ENTRIES))]) -> None:
    """Run one part in this process; `up` and service managers do this."""
    raise typer.Exit(run_part(part))


@app.command()
def status(data: Data = None) -> None:
    """Show where everything is, while `up` runs."""
    from infra import run_file
    from infra.data_lock import holder

    settings = InfraSettings.load(data_dir=data)
    content, pid = run_file.read(settings.data_dir), holder(settings.data_dir)
    if content is None or pid is None:
        state = f"The process {pid} is starting or stopping" if pid else "Nothing is running"
        raise NotRunning(f"{state} in {settings.data_dir}.")
    typer.echo(f"running, pid {pid}")
    pids = {f"pid {name}": value for name, value in content.pop("pids").items()}
    for name, value in {**content, **pids}.items():
        shown = ", ".join(str(item) for item in value) if isinstance(value, list) else value
        typer.echo(f"{name:<16}{shown or 'none'}")


@demo_app.command(name="stop")
def stop_client(client_id: _ClientId, data: Data = None) -> None:
    """Silence a simulated client, as if its machine were switched off."""
    _marker(client_id, data).touch()


@demo_app.command(name="start")
def start_client(client_id: _ClientId, data: Data = None) -> None:
    """Let a silenced client speak again."""
    _marker(client_id, data).unlink(missing_ok=True)


def _marker(client_id: str, data: Path | None) -> Path:
    from infra.demo import client_ids, marker

    data_dir = InfraSettings.load(data_dir=data).data_dir
    if client_id not in client_ids(_MOST_CLIENTS):
        raise ClientUnknown(f"{client_id} is not a simulated client: they are called demo-0001, demo-0002 and so on.")
    path = marker(data_dir, client_id)
    path.parent.mkdir(parents=True, exist_ok=True)
    return path


@app.command()
def version() -> None:
    """Show the version."""
    typer.echo(distribution_version("viworks"))
