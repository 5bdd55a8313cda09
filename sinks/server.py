"""One sink process: the engine, its migrations, the consumer, the SQL port."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections.abc import AsyncIterator, Awaitable, Callable

from schemas.topics import AUDIT
from sinks import storage
from sinks.audit.files import CheckpointFile
from sinks.audit.sealing import Sealing
from sinks.audit.signing_key import AuditKey
from sinks.audit.topic import CheckpointTopic
from sinks.audit.writer import AuditWriter
from sinks.consumer import SinkConsumer
from sinks.dead_letters import DeadLetters
from sinks.engine import EmbeddedEngine, Engine, open_engine
from sinks.lane import Lane
from sinks.migrate import migrate
from sinks.rollups import catch_up
from sinks.settings import SinkSettings
from sinks.sql_port.listener import listening
from sinks.tables import TABLES
from sinks.writer import TableWriter

log = logging.getLogger(__name__)


async def serve(settings: SinkSettings, ready: Callable[[], None]) -> None:
    """Run a sink until cancelled; ``ready`` is called once rows are taken and the SQL port answers.

    On a server there is no SQL port: its clients ask the server itself.

    Raises:
        SinkError: a key file, the engine or a migration cannot be used; the consumer stalled.
        OSError: the port is taken.
        aiokafka.errors.KafkaError: no broker at the start.
    """
    engine = await asyncio.to_thread(open_engine, settings)
    try:
        await asyncio.to_thread(_prepare, engine)
        async with _sql_port(settings, engine), _consuming(settings, engine) as run:
            ready()
            await run()
    finally:
        await asyncio.to_thread(engine.close)


def _prepare(engine: Engine) -> None:
    session = engine.session()
    try:
        for migration in migrate(session):
            log.info("applied %s", migration.name)
        if isinstance(engine, EmbeddedEngine):
            catch_up(session)
    finally:
        session.close()


@contextlib.asynccontextmanager
async def _consuming(settings: SinkSettings, engine: Engine) -> AsyncIterator[Callable[[], Awaitable[None]]]:
    audit = AuditWriter(engine, next(table for table in TABLES if table.topic is AUDIT))
    writers = [audit if table.topic is AUDIT else TableWriter(engine, table) for table in TABLES]
    dead_letters = DeadLetters(settings.kafka)
    lanes = [Lane(table, writer, dead_letters.deliver, settings) for table, writer in zip(TABLES, writers, strict=True)]
    try:
        async with SinkConsumer(settings, lanes) as consumer:
            yield lambda: _run(consumer, _sealing(settings, engine, audit, consumer), settings)
    finally:
        for writer in writers:
            await asyncio.to_thread(writer.close)


async def _run(consumer: SinkConsumer, sealing: Sealing | None, settings: SinkSettings) -> None:
    if sealing is None:
        log.warning("the audit log gets no checkpoints: VIWORKS_AUDIT_KEY_FILE is not set")
        await consumer.run()
        return
    sealer = asyncio.create_task(sealing.run(settings.audit_checkpoint_interval_s))
    consuming = asyncio.create_task(consumer.run())
    try:
        done, _ = await asyncio.wait((consuming, sealer), return_when=asyncio.FIRST_COMPLETED)
        for task in done:
            task.result()
    finally:
        for task in (sealer, consuming):
            task.cancel()
        await asyncio.gather(sealer, consuming, return_exceptions=True)
        # What came since the last checkpoint would wait for its seal until the next start.
        await sealing.seal()


def _sealing(settings: SinkSettings, engine: Engine, writer: AuditWriter, consumer: SinkConsumer) -> Sealing | None:
    if settings.audit_key_file is None:
        return None
    directory = settings.data_dir / "audit"
    return Sealing(
        writer=writer,
        engine=engine,
        sign=AuditKey(settings.audit_key_file, directory / "public-keys").sign,
        file=CheckpointFile(directory / "checkpoints.jsonl"),
        topic=CheckpointTopic(settings.kafka),
        owns=lambda: consumer.owns(AUDIT),
        now_ms=lambda: time.time_ns() // 1_000_000,
    )


@contextlib.asynccontextmanager
async def _sql_port(settings: SinkSettings, engine: Engine) -> AsyncIterator[None]:
    if not isinstance(engine, EmbeddedEngine) or settings.sql_token_file is None:
        log.info("no SQL port: %s", "ask the server" if settings.clickhouse else "VIWORKS_SQL_TOKEN_FILE is not set")
        yield
        return
    token = storage.read_token(settings.sql_token_file)
    async with listening(settings, engine.connection_string, token):
        yield
