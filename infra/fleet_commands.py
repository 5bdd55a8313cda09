"""``viworks fleet``: many simulated clients against a server."""

from __future__ import annotations

import json
import sys
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any

import typer

from infra.errors import FleetNotRun
from infra.options import Data

_EACH = "each"


def fleet(  # noqa: PLR0913 - one parameter an option
    scenario: Annotated[str, typer.Argument(metavar="SCENARIO", help="A file, or the name of a shipped one.")] = "steady",
    clients: Annotated[int | None, typer.Option(min=1, max=1_000_000, help="Default: as the scenario says.")] = None,
    name: Annotated[str, typer.Option(help="Of the fleet: its clients and their keys follow from it.")] = "fleet",
    server: Annotated[str | None, typer.Option(metavar="URL", help="The edge; default: that of `up`.")] = None,
    register_at: Annotated[str | None, typer.Option(metavar="URL", help="Where clients register.")] = None,
    ca: Annotated[Path | None, typer.Option(metavar="FILE", help="Authority of the server's certificate (https).")] = None,
    duration: Annotated[str | None, typer.Option(help="Such as 90s or 10m; default: as the scenario says.")] = None,
    interval: Annotated[str | None, typer.Option(help="Between heartbeats; default: scenario's, else server's.")] = None,
    connections: Annotated[str, typer.Option(help="How many for all clients together, or `each`.")] = "256",
    sources: Annotated[int, typer.Option(min=1, max=200, help="Connect from so many loopback addresses (Linux).")] = 1,
    registrations: Annotated[float, typer.Option(min=0.1, max=10_000, help="Registrations per second.")] = 40.0,
    token: Annotated[str, typer.Option(help="Enrolment token, where the server wants one.")] = "",
    state: Annotated[Path | None, typer.Option(metavar="DIR", help="Keep API keys here for the next run.")] = None,
    seed: Annotated[str, typer.Option(help="Of all chance; default: the fleet's name.")] = "",
    as_json: Annotated[bool, typer.Option("--json", help="Print the report as JSON.")] = False,
    check: Annotated[bool, typer.Option("--check", help="Only look whether the scenario has faults.")] = False,
    scenarios: Annotated[bool, typer.Option("--list", help="List the shipped scenarios.")] = False,
    data: Data = None,
) -> None:
    """Simulate many clients: heartbeats, events and sessions, outages, clones, attacks, by a scenario."""
    from infra.fleet_run import Order
    from infra.fleet_scenarios import read_scenario, shipped

    if scenarios:
        typer.echo("\n".join(shipped()))
        return
    played = read_scenario(scenario)
    if check:
        typer.echo(f"{scenario}: no fault")
        return
    played = replace(
        played,
        clients=clients or played.clients,
        duration_ms=_duration_ms("--duration", duration, played.duration_ms),
        interval_ms=_duration_ms("--interval", interval, played.interval_ms),
    )
    running = _running(data)
    where = server or running.get("edge", "http://127.0.0.1:8080")
    order = Order(
        scenario=played,
        name=name,
        seed=seed,
        server=where,
        register_at=register_at or (running.get("edge", "") if where.startswith("https:") else ""),
        ca_file=ca,
        state=state,
        connections=_connections(connections),
        registrations_per_s=registrations,
        enrolment_token=token,
        sources=sources,
    )
    _run(order, as_json)


def _run(order: Any, as_json: bool) -> None:
    import uvloop

    from fleet.report import lines
    from infra.fleet_run import run
    from infra.fleet_view import FleetView

    view = FleetView(sys.stderr)
    view.say(f"{order.scenario.clients:,} clients at {order.server}, scenario {order.scenario.name}; Ctrl-C ends it")
    content = uvloop.run(run(order, view.watch))
    typer.echo(json.dumps(content, indent=2) if as_json else "\n".join(lines(content)))


def _running(data: Path | None) -> dict[str, Any]:
    """What `up` says of itself; empty where it does not run."""
    from infra import run_file
    from infra.settings import InfraSettings

    return run_file.read(InfraSettings.load(data_dir=data).data_dir) or {}


def _duration_ms(option: str, text: str | None, usual_ms: int | None) -> int | None:
    from processors.durations import duration_ms

    if text is None:
        return usual_ms
    found = duration_ms(text)
    if not found:
        raise typer.BadParameter(f"{option} is not a duration such as 500ms, 30s, 5m or 2h")
    return found


def _connections(text: str) -> int:
    from fleet.live import ONE_EACH

    if text == _EACH:
        return ONE_EACH
    if not text.isdigit() or not 0 < int(text) <= 65_535:
        raise FleetNotRun("--connections is a number from 1 to 65,535, or `each`.")
    return int(text)
