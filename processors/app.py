"""The Faust app: its settings, its three agents and their tables."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

import faust

from processors.batch_transport import BatchSchema, BatchTransport, Records
from processors.brute_force import Threshold
from processors.clock import Clock
from processors.event_agent import EventAgent
from processors.fleet import FleetLimits
from processors.flow_control import SteadyFlowControl
from processors.issuer import open_issuer
from processors.liveness_agent import LivenessAgent, Tables
from processors.outbox import Outbox
from processors.registry_agent import RegistryAgent
from processors.settings import ProcessorSettings
from processors.tables import ChangelogTable
from processors.watermark import ClockLimits
from schemas.topics import CLIENTS, ENROLMENTS, EVENTS, HEARTBEATS, LIVENESS, PARTITIONS, POLICIES, REGISTRATIONS, Topic

Handler = Callable[[int, Records], Awaitable[None]]

REGISTRY_TABLES = {"clients": CLIENTS, "enrolments": ENROLMENTS, "policies": POLICIES}
INPUTS = (REGISTRATIONS, HEARTBEATS, EVENTS)


def build_app(settings: ProcessorSettings, clock: Clock) -> faust.App:
    """A Faust app that is ready to start; to be called inside the event loop that runs it."""
    app = _faust_app(settings)
    outbox = Outbox(app, clock, settings.produce_timeout_s)
    threshold = Threshold(settings.brute_force_count, settings.brute_force_window_ms)
    tables = {topic: ChangelogTable(app, name, topic) for name, topic in REGISTRY_TABLES.items()}
    liveness = _liveness_agent(app, settings, tables[CLIENTS], outbox)
    registry = RegistryAgent(tables, outbox, open_issuer(settings), liveness.registered)
    events = EventAgent(ChangelogTable(app, "authentication-failures"), outbox, threshold)
    _carry(app, REGISTRATIONS, "registry", registry.handle)
    _carry(app, HEARTBEATS, "liveness", liveness.handle)
    _carry(app, EVENTS, "events", events.handle)
    return app


def _liveness_agent(app: faust.App, settings: ProcessorSettings, clients: ChangelogTable, outbox: Outbox) -> LivenessAgent:
    limits = FleetLimits(
        settings.liveness_grace_ms,
        ClockLimits(settings.edge_silence_ms, settings.liveness_gap_ms),
        settings.never_came_after_ms,
        settings.last_seen_every_ms,
    )
    tables = Tables(ChangelogTable(app, "liveness", LIVENESS), ChangelogTable(app, "last-seen"), clients)
    return LivenessAgent(tables, outbox, limits)


def _faust_app(settings: ProcessorSettings) -> faust.App:
    app = faust.App(
        settings.processor_app_id,
        broker=[f"kafka://{host}" for host in settings.kafka.split(",")],
        datadir=str(settings.data_dir / "faust"),
        store="memory://",
        processing_guarantee="at_least_once",
        autodiscover=False,
        web_enabled=False,
        key_serializer="raw",
        value_serializer="raw",
        topic_partitions=PARTITIONS,
        topic_replication_factor=settings.replication_factor,
        topic_disable_leader=True,
        table_standby_replicas=0,
        producer_acks=-1,
        broker_commit_interval=settings.commit_interval_s,
        # After a crash the group waits this long for the worker that is no more. Heartbeats have a thread of their own.
        broker_session_timeout=settings.session_timeout_s,
        broker_heartbeat_interval=settings.session_timeout_s / 4,
        # A few batches a partition, each with many records: more would only be memory.
        stream_buffer_maxsize=16,
        # A rebalance waits for the batch in work, so that no other worker takes over a client in the middle of it.
        stream_wait_empty=True,
        stream_recovery_delay=0.0,
    )
    app.flow_control = SteadyFlowControl()
    inputs = [topic.name for topic in INPUTS]
    app.transport = BatchTransport(
        app.conf.broker_consumer, app, batched=inputs, fetch_max_wait_ms=settings.fetch_max_wait_ms
    )
    return app


def _carry(app: faust.App, topic: Topic, name: str, handler: Handler) -> None:
    """An agent that gives its batches to ``handler`` and acknowledges what was handled.

    Faust acknowledges an event also where its agent raised, so acknowledging is done here. A handler raises only where it
    cannot go on; then the worker ends, and a new one reads the batch again.
    """

    async def agent(stream: Any) -> None:
        async for event in stream.noack().events():
            try:
                await handler(event.message.partition, event.value)
            except Exception as error:
                await app.crash(error)
                raise
            event.ack()

    channel = app.topic(topic.name, schema=BatchSchema(), partitions=topic.partitions, config=topic.config())
    app.agent(channel, name=f"processors.{name}", concurrency=1)(agent)
