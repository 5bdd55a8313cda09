"""One sink process: the engine, its migrations, the consumer, the SQL port."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import logging
from collections.abc import AsyncIterator, Callable, Coroutine

from schemas.topics import AUDIT
from sinks import fatal_signals, metrics, storage
from sinks.audit.sealing import sealed_while
from sinks.audit.writer import AuditWriter
from sinks.claims import Claims
from sinks.consumer import SinkConsumer
from sinks.dead_letters import DeadLetters
from sinks.engine import EmbeddedEngine, Engine, open_engine
from sinks.errors import RotationFailed
from sinks.lane import Lane
from sinks.migrate import migrate
from sinks.orders.serving import follower_of
from sinks.replay import Replays
from sinks.rollups import catch_up
from sinks.rotation import Rotation, retire
from sinks.settings import SinkSettings
from sinks.sieve import drop_left_over
from sinks.sql_port.listener import listening
from sinks.tables import TABLES, Table
from sinks.writer import TableWriter

log = logging.getLogger(__name__)

_ORDER_POLL_S = 0.5
_RETIRE_AGAIN_S, _RETIRE_AGAIN_MAX_S = 2.0, 600.0


async def serve(settings: SinkSettings, ready: Callable[[], None]) -> None:
    """Run a sink until cancelled; ``ready`` is called once rows are taken and the SQL port answers.

    On a server there is no SQL port: its clients ask the server itself.

    Raises:
        SinkError: a key file, the engine or a migration cannot be used; the consumer stalled.
        OSError: a port is taken.
        aiokafka.errors.KafkaError: no broker at the start.
    """
    # Records live for seconds and hold no cycles: a collection that walks them all finds nothing.
    gc.set_threshold(100_000, 50, 100)
    failures = 0
    while True:
        if await _serve_opened(settings, ready, _retire_again_s(failures)):
            failures = 0 if await asyncio.to_thread(_retired, settings) else failures + 1


async def _serve_opened(settings: SinkSettings, ready: Callable[[], None], wait_s: float) -> bool:
    """Serve until a rotation needs the engine closed. Returns whether former keys are needed no more."""
    engine = await asyncio.to_thread(open_engine, settings)
    fatal_signals.end_the_process()
    try:
        await asyncio.to_thread(_prepare, engine, settings.clickhouse_cluster)
        rotation = Rotation(settings, engine, wait_s)
        with metrics.served(settings.sink_metrics_host, settings.sink_metrics_port):
            async with _sql_port(settings, engine), _meanwhile(rotation.run()):
                await _consume(settings, engine, ready, rotation)
        return rotation.moved
    finally:
        await asyncio.to_thread(engine.close)


def _retired(settings: SinkSettings) -> bool:
    try:
        retire(settings)
    except RotationFailed as error:
        log.warning("the former storage key stays for now: %s", error)
        return False
    return True


def _retire_again_s(failures: int) -> float:
    """How long to wait before it is tried again, which closes the engine for a moment: ever longer."""
    return min(_RETIRE_AGAIN_MAX_S, _RETIRE_AGAIN_S * 4.0 ** min(failures - 1, 10)) if failures else 0.0


@contextlib.asynccontextmanager
async def _meanwhile(work: Coroutine[None, None, None]) -> AsyncIterator[None]:
    task = asyncio.create_task(work)
    try:
        yield
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def _consume(settings: SinkSettings, engine: Engine, ready: Callable[[], None], rotation: Rotation) -> None:
    """Consume; where a replay is ordered, carry it out while nothing is consumed, and go on. Ends for a rotation."""
    replays = Replays(settings.data_dir, engine, settings.kafka) if isinstance(engine, EmbeddedEngine) else None
    if replays and replays.ordered:
        # One that was cut short may take longer than a start may.
        ready()
    while not rotation.due:
        if replays:
            await replays.carry_out()
        async with _consuming(settings, engine) as run:
            ready()
            await _run_until(lambda: rotation.due or bool(replays and replays.ordered), run())


async def _run_until(ordered: Callable[[], bool], consuming: Coroutine[None, None, None]) -> None:
    running = asyncio.create_task(consuming)
    try:
        while not ordered():
            done, _ = await asyncio.wait([running], timeout=_ORDER_POLL_S)
            for task in done:
                task.result()
    finally:
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)


def _prepare(engine: Engine, cluster: str) -> None:
    session = engine.session()
    try:
        for migration in migrate(session, cluster):
            log.info("applied %s", migration.name)
        if isinstance(engine, EmbeddedEngine):
            drop_left_over(session)
            catch_up(session)
    finally:
        session.close()


@contextlib.asynccontextmanager
async def _consuming(settings: SinkSettings, engine: Engine) -> AsyncIterator[Callable[[], Coroutine[None, None, None]]]:
    log_of_audit = next(table for table in TABLES if table.topic is AUDIT)
    audit = AuditWriter(engine, log_of_audit, _claims(engine, log_of_audit))
    writers = [audit if table.topic is AUDIT else TableWriter(engine, table, _claims(engine, table)) for table in TABLES]
    dead_letters = DeadLetters(settings.kafka)
    lanes = [Lane(table, writer, dead_letters.deliver, settings) for table, writer in zip(TABLES, writers, strict=True)]
    try:
        async with SinkConsumer(settings, lanes) as consumer:
            yield lambda: _beside(
                sealed_while(consumer.run(), settings, engine, audit, lambda: consumer.owns(AUDIT)),
                follower_of(settings, engine).run(),
            )
    finally:
        for writer in writers:
            await asyncio.to_thread(writer.close)


def _claims(engine: Engine, table: Table) -> Claims | None:
    return None if isinstance(engine, EmbeddedEngine) else Claims(table)


async def _beside(consuming: Coroutine[None, None, None], *others: Coroutine[None, None, None]) -> None:
    """Consume, and do the others meanwhile; the end or the fault of any ends all. Raises the fault."""
    tasks = [asyncio.create_task(work) for work in (consuming, *others)]
    try:
        done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        for task in done:
            task.result()
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


@contextlib.asynccontextmanager
async def _sql_port(settings: SinkSettings, engine: Engine) -> AsyncIterator[None]:
    if not isinstance(engine, EmbeddedEngine) or settings.sql_token_file is None:
        log.info("no SQL port: %s", "ask the server" if settings.clickhouse else "VIWORKS_SQL_TOKEN_FILE is not set")
        yield
        return
    token = storage.read_token(settings.sql_token_file)
    async with listening(settings, engine.connection_string, token):
        yield
