"""Runs a simulated fleet against a server: makes its clients, registers those that are not, plays the scenario, reports."""

from __future__ import annotations

import asyncio
import contextlib
import tempfile
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from fleet.acts import Stage
from fleet.certificates import Certificates
from fleet.client import SimulatedClient, make_clients
from fleet.enrolment import Enrolment
from fleet.errors import FleetError
from fleet.live import ONE_EACH, SHARED, LiveFleet, Settings
from fleet.pool import Target
from fleet.report import mark, report
from fleet.scenario import Scenario
from infra.errors import FleetNotRun
from infra.fleet_state import FleetState
from schemas.messages import RegistrationAnswer

_DEFAULT_PORTS = {"http": 80, "https": 443}
_FOR_EVER_S = 1e9


@dataclass(frozen=True, slots=True)
class Order:
    """What to run.

    Attributes:
        name: of the fleet; its clients are called after it, and their keys follow from it.
        server: the edge; with ``https`` each client has a certificate and connections of its own.
        register_at: where clients register, plain HTTP or a server that wants no certificate for it.
        ca_file: the authority of the server's certificate.
        state: a directory that keeps the clients' API keys.
        connections: shared by all clients; 0 for one each.
        sources: from how many loopback addresses to connect, since a server gives each address a budget.
    """

    scenario: Scenario
    name: str = "fleet"
    seed: str = ""
    server: str = "http://127.0.0.1:8080"
    register_at: str = ""
    ca_file: Path | None = None
    state: Path | None = None
    connections: int = SHARED
    registrations_per_s: float = 40.0
    enrolment_token: str = ""
    sources: int = 1


Watch = Callable[[LiveFleet], Awaitable[None]]


async def run(order: Order, watch: Watch) -> dict[str, Any]:
    """Run until the scenario's end, or until cancelled, and return the report.

    Args:
        watch: called with the fleet that registers, and with the one that beats; cancelled at the end of each.

    Raises:
        FleetNotRun: the clients cannot be registered, or an address or a certificate cannot be used.
    """
    scenario = order.scenario
    clients = make_clients(order.name, scenario.clients, time.time_ns() // 1_000_000)
    try:
        with _certificates(order) as certificates:
            state = FleetState(order.state)
            await _register(order, clients, certificates, state, watch)
            return await _live(order, clients, certificates, watch)
    except FleetError as error:
        raise FleetNotRun(str(error)) from error


@contextlib.contextmanager
def _certificates(order: Order) -> Iterator[Certificates | None]:
    """A directory for the certificates of a fleet that wants some; without a state it is gone at the end."""
    if not order.server.startswith("https:"):
        yield None
        return
    if order.ca_file is None:
        raise FleetNotRun("With https the authority of the server's certificate is needed: name its file with --ca.")
    with tempfile.TemporaryDirectory(prefix="viworks-fleet-") as temporary:
        yield Certificates((order.state or Path(temporary)) / "tls", order.ca_file)


async def _register(
    order: Order, clients: list[SimulatedClient], certificates: Certificates | None, state: FleetState, watch: Watch
) -> None:
    missing = state.restore(clients, time.time_ns() // 1_000_000)
    if certificates is not None:
        missing = list({*missing, *(client for client in clients if not certificates.has(client))})
    if not missing:
        return
    fleet = LiveFleet(missing, _target(order.register_at or order.server, order), Settings(seed=order.seed or order.name))
    enrolment = _enrolment(order, fleet, certificates, state)
    fleet.wind()
    try:
        async with _watched(watch, fleet):
            await enrolment.enrol_all(missing)
    finally:
        await asyncio.to_thread(state.write)


@contextlib.asynccontextmanager
async def _watched(watch: Watch, fleet: LiveFleet) -> AsyncIterator[None]:
    """Have a fleet watched while it runs, and closed afterwards."""
    watching = asyncio.ensure_future(watch(fleet))
    try:
        yield
    finally:
        watching.cancel()
        await asyncio.gather(watching, return_exceptions=True)
        await fleet.close()


def _enrolment(order: Order, fleet: LiveFleet, certificates: Certificates | None, state: FleetState) -> Enrolment:
    return Enrolment(
        fleet.simulation,
        order.registrations_per_s,
        partial(_registered, state, certificates),
        enrolment_token=order.enrolment_token,
        csr_of=certificates.request if certificates else None,
    )


def _registered(
    state: FleetState, certificates: Certificates | None, client: SimulatedClient, answer: RegistrationAnswer
) -> None:
    client.interval_ms = client.interval_ms or answer.config.heartbeat_interval * 1000
    state.note(client, answer.api_key, answer.expires_at, answer.config.heartbeat_interval * 1000)
    if certificates is not None and isinstance(answer.certificate, str):
        certificates.keep(client, answer.certificate)


async def _live(
    order: Order, clients: list[SimulatedClient], certificates: Certificates | None, watch: Watch
) -> dict[str, Any]:
    scenario = order.scenario
    for client in clients:
        client.interval_ms = scenario.interval_ms or client.interval_ms
    fleet = _fleet(order, clients, certificates)
    if certificates is None:
        fleet.beats.renew = _enrolment(order, fleet, None, FleetState(None)).enrol
    began = mark(fleet)
    run_name = f"{order.name}-{time.time_ns() // 1_000_000:x}"
    Stage(fleet.simulation, fleet.beats, fleet.deliveries, run_name).play(scenario, order.seed or order.name)
    fleet.start(clients[0].interval_ms if scenario.ramp_ms is None else scenario.ramp_ms)
    fleet.wind()
    async with _watched(watch, fleet):
        with contextlib.suppress(asyncio.CancelledError):
            await asyncio.sleep(scenario.duration_ms / 1000 if scenario.duration_ms else _FOR_EVER_S)
        return report(fleet, began)


def _fleet(order: Order, clients: list[SimulatedClient], certificates: Certificates | None) -> LiveFleet:
    target = replace(_target(order.server, order), contexts=certificates.context if certificates else None)
    settings = Settings(
        connections=ONE_EACH if certificates else order.connections,
        discipline=order.scenario.discipline,
        seed=order.seed or order.name,
    )
    fleet = LiveFleet(clients, target, settings)
    if certificates is not None and fleet.connections:
        raise FleetNotRun(f"{len(clients):,} clients need as many sockets with https: allow more open files (ulimit -n).")
    return fleet


def _target(url: str, order: Order) -> Target:
    parts = urlsplit(url)
    try:
        port = parts.port or _DEFAULT_PORTS.get(parts.scheme)
    except ValueError:
        port = None
    if not parts.hostname or port is None or parts.path.strip("/"):
        raise FleetNotRun("A server is named as http://HOST:PORT or https://HOST:PORT.")
    sources = tuple(f"127.0.0.{number}" for number in range(1, order.sources + 1)) if order.sources > 1 else ()
    return Target(parts.hostname, port, sources=sources)
