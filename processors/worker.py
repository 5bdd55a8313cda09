"""One Faust worker inside the running event loop: no command line, no web server, no signal handlers."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Coroutine
from typing import Any

import faust
from aiokafka.admin import AIOKafkaAdminClient, NewTopic

from processors.app import INPUTS, build_app
from processors.clock import Clock, system_clock
from processors.errors import RecoveryStalled, TopicsMissing, WorkerFailed
from processors.settings import ProcessorSettings
from processors.watchdog import Worker, watch
from schemas.topics import DAY_MS, TOPICS

# Small segments: only a segment that is closed is compacted, and a start reads what is left.
_CHANGELOG = {"cleanup.policy": "compact", "segment.bytes": str(32 << 20), "max.compaction.lag.ms": str(DAY_MS)}
_CREATED_LOOKS, _CREATED_PAUSE_S = 200, 0.05
_CUT_OFF_S = 1.0
_CANCELS, _CANCEL_PAUSE_S = 20, 0.05

log = logging.getLogger(__name__)


async def serve(settings: ProcessorSettings, ready: Callable[[], None], clock: Clock = system_clock) -> None:
    """Run a worker until cancelled; ``ready`` is called once its tables are recovered and it consumes.

    Raises:
        TopicsMissing: the broker lacks topics of the contract.
        RulesInvalid: the rules have faults.
        RecoveryStalled: the tables were not recovered in time.
        WorkerStalled: it commits nothing although there is something to read.
        WorkerFailed: the worker crashed.
        aiokafka.errors.KafkaError: no broker at the start.
    """
    await _require_topics(settings.kafka)
    settings.data_dir.mkdir(parents=True, exist_ok=True)
    app = build_app(settings, clock)
    await _create_changelogs(app, settings)
    try:
        await _start(app, settings.recovery_timeout_s)
        ready()
        await _until_stopped(app, settings)
        raise WorkerFailed("the worker ended by itself") from app.crash_reason
    finally:
        await _stop(app, settings.stop_timeout_s)


async def _require_topics(bootstrap: str) -> None:
    """Faust would create a missing topic, without its compaction and retention."""
    admin = AIOKafkaAdminClient(bootstrap_servers=bootstrap)
    try:
        await admin.start()
        missing = {topic.name for topic in TOPICS} - set(await admin.list_topics())
    finally:
        await admin.close()
    if missing:
        raise TopicsMissing(f"the broker lacks {', '.join(sorted(missing))}")


async def _create_changelogs(app: faust.App, settings: ProcessorSettings) -> None:
    """Those of our own tables. Faust would create them too, but after its consumer has asked which topics there are.

    Then it leaves them out of the first assignment, and writes to them wait for a second one.
    """
    changelogs = {table.changelog_topic.get_topic_name(): table.partitions for table in app.tables.values()}
    admin = AIOKafkaAdminClient(bootstrap_servers=settings.kafka)
    try:
        await admin.start()
        missing = changelogs.keys() - set(await admin.list_topics())
        await admin.create_topics(
            [NewTopic(name, changelogs[name], settings.replication_factor, topic_configs=_CHANGELOG) for name in missing]
        )
        for _ in range(_CREATED_LOOKS):
            if not changelogs.keys() - set(await admin.list_topics()):
                return
            await asyncio.sleep(_CREATED_PAUSE_S)
        raise RecoveryStalled("the changelogs of the tables were not created in time")
    finally:
        await admin.close()


async def _start(app: faust.App, timeout_s: float) -> None:
    starting = asyncio.ensure_future(app.start())
    crashed = asyncio.ensure_future(app.wait_until_stopped())
    try:
        await asyncio.wait([starting, crashed], timeout=timeout_s, return_when=asyncio.FIRST_COMPLETED)
        if starting.done():
            await starting
        if app.crashed:
            raise WorkerFailed("the worker crashed at its start") from app.crash_reason
        if not starting.done():
            raise RecoveryStalled(f"the tables were not recovered within {timeout_s:g} s")
    finally:
        for task in (starting, crashed):
            task.cancel()
        await asyncio.gather(starting, crashed, return_exceptions=True)


async def _until_stopped(app: faust.App, settings: ProcessorSettings) -> None:
    """Return when the worker has ended; raise what the watchdog raises."""
    inputs = {topic.name for topic in INPUTS}
    worker = Worker(
        assignment=lambda: [tp for tp in app.consumer.assignment() if tp.topic in inputs],
        generation=lambda: app.consumer_generation_id,
    )
    stopped = asyncio.ensure_future(app.wait_until_stopped())
    watched = asyncio.ensure_future(watch(settings.kafka, settings.processor_app_id, worker, settings.stall_after_s))
    try:
        await asyncio.wait([stopped, watched], return_when=asyncio.FIRST_COMPLETED)
        if not stopped.done():
            await watched
    finally:
        stopped.cancel()
        watched.cancel()
        await asyncio.gather(stopped, watched, return_exceptions=True)


async def _stop(app: faust.App, timeout_s: float) -> None:
    """Stop in bounded time: without a broker Faust waits for ever. What is not committed is read again."""
    if await _ended(app.stop(), timeout_s):
        return
    log.warning("the worker did not stop within %g s", timeout_s)
    # What was cut off is the commit; the agents and their supervisors come after it and would never end by themselves.
    await _ended(app._stop_children(), _CUT_OFF_S)
    await _ended(app._stop_futures(), _CUT_OFF_S)


async def _ended(work: Coroutine[Any, Any, None], timeout_s: float) -> bool:
    """Whether the work ended in time. Where it did not, it is cancelled.

    Again and again: Faust takes a cancellation as the end of one of its parts and goes on to the next, which may hang too.
    """
    task = asyncio.ensure_future(work)
    done, _ = await asyncio.wait([task], timeout=timeout_s)
    for _ in range(_CANCELS):
        if not task.done():
            task.cancel()
            await asyncio.wait([task], timeout=_CANCEL_PAUSE_S)
    if task.done() and not task.cancelled() and (error := task.exception()):
        log.warning("the worker did not stop cleanly: %r", error)
    return bool(done)
