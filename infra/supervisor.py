"""Starts everything in order, keeps it running, and stops it in reverse order, leaving no process behind."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import shutil
import signal
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import groupby
from pathlib import Path

from infra import run_file
from infra.data_lock import DataLock
from infra.kafka import EmbeddedKafka
from infra.kafka_probe import require_answer
from infra.keeper import Keeper
from infra.key_files import ensure_keys
from infra.part_environment import part_environment
from infra.pki import ensure_pki
from infra.ports import require_free
from infra.service import Part, PartProcess, Service
from infra.settings import InfraSettings
from infra.terminal import Terminal
from infra.topics import create_topics

log = logging.getLogger(__name__)

# The broker is all that these wait for; together they are up in half the time that they take one after the other.
PARTS = (Part("processors", 1), Part("sink", 1), Part("edge", 1), Part("console", 1))
DELIVERY = Part("delivery", 1)
DEMO = Part("demo", 2)
_STOP_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class Supervisor:
    """One run of ``viworks up``."""

    def __init__(self, settings: InfraSettings, terminal: Terminal, parts: Sequence[Part] | None = None) -> None:
        """``parts``: what to supervise besides the broker; by default all parts that the settings ask for."""
        self._settings = settings
        self._terminal = terminal
        self._parts = _wanted(settings) if parts is None else tuple(parts)
        self._kafka = None if settings.kafka else _embedded(settings)
        self._stages: list[list[Keeper]] = []
        self._processes: list[PartProcess] = []
        self._addresses: dict[str, str] = {}
        self._stops = 0

    async def run(self) -> None:
        """Start all, keep it until SIGINT, SIGTERM or SIGHUP, stop all. A second signal kills what has not yet ended.

        Raises:
            InfraError: something did not start; what had started was stopped again.
        """
        with DataLock(self._settings.data_dir), _socket_directory() as sockets:
            work = asyncio.ensure_future(self._start_and_keep(sockets))
            loop = asyncio.get_running_loop()
            for number in _STOP_SIGNALS:
                loop.add_signal_handler(number, self._on_signal, work)
            try:
                await work
            except asyncio.CancelledError:
                if not self._stops:
                    raise
            finally:
                await self._stop_all()

    async def _start_and_keep(self, sockets: Path) -> None:
        settings = self._settings
        self._require_free_ports()
        with self._terminal.stage("keys and certificates"):
            keys = ensure_keys(settings.data_dir)
            pki = ensure_pki(settings.data_dir, settings.edge_hostnames.replace(",", " ").split())
        bootstrap = await self._broker()
        self._addresses = run_file.addresses(settings, bootstrap, keys.sql_token)
        environment = part_environment(settings, bootstrap, keys, pki)
        # Only the part that signs certificates learns where the authority's key is, and only the sink the audit's.
        own = {"processors": pki.authority_environment(), "sink": keys.audit_environment()}
        self._parts = tuple(
            replace(part, environment={**part.environment, **own.get(part.name, {})}) for part in self._parts
        )
        await self._start_parts(environment, sockets)
        self._write_run_file()
        self._terminal.card(self._addresses, keys, settings.demo)
        await asyncio.gather(*(keeper.keep() for keeper in self._keepers()))

    def _require_free_ports(self) -> None:
        for name, part in _LISTENERS.items():
            if name != "kafka_port" or self._kafka:
                require_free(getattr(self._settings, name), f"VIWORKS_{name.upper()}", part)

    async def _broker(self) -> str:
        """Start or find the broker, make its topics, and return its address."""
        settings = self._settings
        if self._kafka:
            await self._start([self._kafka])
            bootstrap, replication = self._kafka.bootstrap, 1
        else:
            bootstrap, replication = settings.kafka or "", settings.replication_factor
            with self._terminal.stage(f"broker {bootstrap}"):
                await require_answer(bootstrap, settings.start_timeout_s)
        with self._terminal.stage("topics"):
            await create_topics(bootstrap, replication)
        return bootstrap

    async def _start_parts(self, environment: dict[str, str], sockets: Path) -> None:
        logs = self._settings.data_dir / "logs"
        for _, stage in groupby(sorted(self._parts, key=lambda part: part.stage), key=lambda part: part.stage):
            processes = [
                PartProcess(part, instance, environment, logs, sockets)
                for part in stage
                for instance in range(part.instances)
            ]
            self._processes += processes
            await self._start(processes)

    async def _start(self, services: Sequence[Service]) -> None:
        say, changed, timeout_s = self._terminal.say, self._write_run_file, self._settings.start_timeout_s
        keepers = [Keeper(service, timeout_s, say, changed) for service in services]
        self._stages.append(keepers)
        try:
            async with asyncio.TaskGroup() as group:
                for keeper in keepers:
                    group.create_task(self._start_one(keeper))
        except ExceptionGroup as errors:
            raise errors.exceptions[0] from None

    async def _start_one(self, keeper: Keeper) -> None:
        with self._terminal.stage(keeper.service.name):
            await keeper.start()

    def _write_run_file(self) -> None:
        if self._addresses and not self._stops:
            kafka = self._kafka.pid if self._kafka else None
            content = {**self._addresses, "pids": run_file.pids(kafka, self._processes)}
            run_file.write(self._settings.data_dir, content)

    def _keepers(self) -> Iterator[Keeper]:
        return (keeper for stage in self._stages for keeper in stage)

    def _on_signal(self, work: asyncio.Future[None]) -> None:
        self._stops += 1
        if self._stops == 1:
            self._terminal.say("stopping; once more to hasten it")
            work.cancel()
            return
        for keeper in self._keepers():
            keeper.service.kill()

    async def _stop_all(self) -> None:
        self._addresses = {}
        run_file.remove(self._settings.data_dir)
        for stage in reversed(self._stages):
            stops = (keeper.service.stop(self._settings.stop_timeout_s) for keeper in stage)
            for outcome in await asyncio.gather(*stops, return_exceptions=True):
                if isinstance(outcome, Exception):
                    log.error("a part could not be stopped", exc_info=outcome)
        if self._stops:
            self._terminal.say("stopped")


_LISTENERS = {
    "edge_port": "edge",
    "edge_tls_port": "edge, TLS",
    "sql_port": "SQL",
    "console_port": "console",
    "metrics_port": "metrics",
    "kafka_port": "Kafka",
}


def _wanted(settings: InfraSettings) -> tuple[Part, ...]:
    """Alerts are delivered where a file says to whom; the demo fleet runs where it is asked for."""
    return (*PARTS, *([DELIVERY] if settings.receivers else []), *([DEMO] if settings.demo else []))


def _embedded(settings: InfraSettings) -> EmbeddedKafka:
    return EmbeddedKafka(settings.data_dir, settings.kafka_port, heap_mb=settings.kafka_heap_mb)


@contextlib.contextmanager
def _socket_directory() -> Iterator[Path]:
    """A short path: the name of a Unix socket must not be longer than about 100 bytes."""
    directory = tempfile.mkdtemp(prefix="viworks-")
    try:
        yield Path(directory)
    finally:
        shutil.rmtree(directory, ignore_errors=True)
