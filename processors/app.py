"""The Faust app: its settings, its agents and their tables.

Agents by client see, and pass on what rules want to see; the desk, on one partition, decides on alerts.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

import faust
from faust.types import TP

from processors.alerting.lookout import Lookout
from processors.batch_transport import BatchSchema, BatchTransport, Records
from processors.clock import Clock, steady_clock
from processors.desk_agent import DeskAgent, DeskTables
from processors.fleet import FleetLimits
from processors.flow_control import SteadyFlowControl
from processors.issuer import open_issuer
from processors.liveness_agent import LivenessAgent, Tables
from processors.outbox import Outbox
from processors.registry_agent import RegistryAgent
from processors.rule_book import RuleBook
from processors.settings import ProcessorSettings
from processors.signal_agent import SignalAgent
from processors.tables import ChangelogTable
from processors.watermark import ClockLimits
from schemas import codec
from schemas.topics import (
    AUDIT,
    CLIENTS,
    ENROLMENTS,
    EVENTS,
    HEARTBEATS,
    LIVENESS,
    PARTITIONS,
    POLICIES,
    REGISTRATIONS,
    REJECTIONS,
    SIGNALS,
    SILENCES,
    Topic,
)

Handler = Callable[[int, Records], Awaitable[None]]

REGISTRY_TABLES = {"clients": CLIENTS, "enrolments": ENROLMENTS, "policies": POLICIES}
INPUTS = (REGISTRATIONS, HEARTBEATS, EVENTS, REJECTIONS, AUDIT, SIGNALS)
_WATCH_S = 1.0


def build_app(settings: ProcessorSettings, clock: Clock) -> faust.App:
    """A Faust app that is ready to start; to be called inside the event loop that runs it.

    Raises:
        RulesInvalid: the rules have faults.
        AuthorityUnusable: the certificate authority's files cannot be read.
    """
    book = RuleBook(settings.rules)
    app = _faust_app(settings)
    outbox = Outbox(app, clock, settings.produce_timeout_s)
    tables = {topic: ChangelogTable(app, name, topic) for name, topic in REGISTRY_TABLES.items()}
    lookout = Lookout(book, lambda client_id: _node_of(tables[CLIENTS], client_id))
    liveness = _liveness_agent(app, settings, tables[CLIENTS], outbox, lookout)
    registry = RegistryAgent(tables, outbox, open_issuer(settings), liveness.registered, liveness.erased)
    _carry(app, REGISTRATIONS, "registry", registry.handle)
    _carry(app, HEARTBEATS, "liveness", liveness.handle)
    _carry(app, EVENTS, "events", SignalAgent(EVENTS, lookout.event, outbox).handle)
    _carry(app, REJECTIONS, "rejections", SignalAgent(REJECTIONS, lookout.rejection, outbox).handle)
    _carry(app, AUDIT, "audit", SignalAgent(AUDIT, lookout.audit, outbox).handle)
    _decide(app, settings, book, outbox)
    return app


def _liveness_agent(
    app: faust.App, settings: ProcessorSettings, clients: ChangelogTable, outbox: Outbox, lookout: Lookout
) -> LivenessAgent:
    limits = FleetLimits(
        settings.liveness_grace_ms,
        ClockLimits(settings.edge_silence_ms, settings.liveness_gap_ms),
        settings.never_came_after_ms,
        settings.last_seen_every_ms,
    )
    tables = Tables(ChangelogTable(app, "liveness", LIVENESS), ChangelogTable(app, "last-seen"), clients)
    return LivenessAgent(tables, outbox, limits, lookout)


def _node_of(clients: ChangelogTable, client_id: str) -> str | None:
    """The registry's table has the same partitions as what clients send, so this worker has the client's row."""
    value = clients.get(client_id.encode())
    return None if value is None else codec.decode_as(CLIENTS.schemas[0], value)["node_id"]


def _decide(app: faust.App, settings: ProcessorSettings, book: RuleBook, outbox: Outbox) -> None:
    """The desk's agent; its look at the steady clock, and at the file of the rules."""
    tables = DeskTables(
        ChangelogTable(app, "rules", partitions=SIGNALS.partitions),
        ChangelogTable(app, "desk", partitions=SIGNALS.partitions),
        ChangelogTable(app, "silences", SILENCES),
    )
    desk = DeskAgent(tables, outbox, book, steady_clock, settings.blind_after_ms)
    _carry(app, SIGNALS, "desk", desk.handle)

    def has_signals() -> bool:
        return not app.rebalancing and TP(SIGNALS.name, 0) in app.consumer.assignment()

    async def watch() -> None:
        if has_signals():
            await desk.watch()

    async def reload() -> None:
        if book.refresh() and has_signals():
            await desk.reload()

    app.timer(_WATCH_S, name="processors.watch")(watch)
    app.timer(settings.rules_reload_s, name="processors.rules")(reload)


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
