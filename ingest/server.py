"""One edge process: its parts and its background work. What it listens on is in ``listeners``."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import logging
import os
import socket
import uuid
from collections.abc import AsyncIterator, Callable
from functools import partial
from pathlib import Path
from typing import Any

from prometheus_client import start_http_server

from ingest import metrics
from ingest.app import create_app
from ingest.authentication import Authenticator
from ingest.clock import Clock, system_clock
from ingest.documents import Documents
from ingest.edge import Edge
from ingest.front import make_front
from ingest.key_reload import reload_token_keys
from ingest.limits import Limits
from ingest.listeners import listen
from ingest.policies import PolicyBook
from ingest.privacy import PrivacyGuard
from ingest.private_keys import refuse_private_key
from ingest.producer import BatchingProducer
from ingest.readiness import Check
from ingest.registry_link import RegistryLink
from ingest.rejections import Rejections
from ingest.revocations import Revocations, revoked_serials
from ingest.revoked_serials import RevokedSerials
from ingest.settings import EdgeSettings
from ingest.standings import Standings
from ingest.tamper_signals import TamperSignals
from ingest.ticks import Ticks
from ingest.tokens import TokenKeys
from ingest.topic_follower import TopicFollower
from schemas.sealing import SealingKey
from schemas.topics import POLICIES, REVOCATIONS

log = logging.getLogger(__name__)


async def serve(settings: EdgeSettings, ready: Callable[[], None]) -> None:
    """Run an edge until cancelled; ``ready`` is called once its ports answer.

    Raises:
        OSError: a port is taken.
        TokenError, SealingError: a key file cannot be used.
        PrivateKeyFound: the SOC's private key lies beside them.
        TlsFilesUnusable: certificate, key, authorities or revocation list cannot be used.
        aiokafka.errors.KafkaError: no broker at the start.
    """
    metrics_server, _ = start_http_server(settings.metrics_port, settings.metrics_host)
    try:
        async with running_edge(settings, system_clock) as edge:
            await listen(create_app(edge), make_front(edge), partial(_serves, edge, ready))
    finally:
        metrics_server.shutdown()
        metrics_server.server_close()


def _serves(edge: Edge, ready: Callable[[], None]) -> None:
    log.info("edge %s takes requests", edge.name)
    ready()


@contextlib.asynccontextmanager
async def running_edge(settings: EdgeSettings, clock: Clock) -> AsyncIterator[Edge]:
    """The parts of an edge with their background work, without a listener."""
    name = f"{socket.gethostname()}-{os.getpid()}-{uuid.uuid4().hex[:8]}"
    sealing_key = SealingKey.from_pem(settings.sealing_key_file.read_bytes())
    refuse_private_key(sealing_key, _key_directories(settings))
    pseudonym_key = base64.b64decode(settings.pseudonym_key_file.read_bytes())
    producer = BatchingProducer(
        settings.kafka,
        linger_s=settings.produce_linger_s,
        timeout_s=settings.produce_timeout_s,
        max_unacknowledged_bytes=settings.max_unacknowledged_bytes,
    )
    keys = TokenKeys.from_file(settings.token_keys_file)
    revocations, serials = Revocations(settings.token_lifetime_s), RevokedSerials()

    def revoke(key: str, record: dict[str, Any] | None) -> None:
        revocations.apply(key, record, clock())
        serials.add(revoked_serials(record))

    revoked = TopicFollower(settings.kafka, REVOCATIONS, revoke)
    book = PolicyBook(settings.heartbeat_interval_s)
    policies = TopicFollower(settings.kafka, POLICIES, book.apply)
    registry = RegistryLink(settings.kafka, producer, name, settings.verdict_timeout_s, clock)
    async with producer, registry, revoked, policies:
        rejections = Rejections(producer, name, clock)
        edge = Edge(
            name=name,
            settings=settings,
            clock=clock,
            keys=keys,
            authenticator=Authenticator(keys, revocations),
            guard=PrivacyGuard(settings.privacy_mode, sealing_key, pseudonym_key, settings.pseudonym_period_s),
            standings=Standings(book, Documents(settings, sealing_key)),
            producer=producer,
            registry=registry,
            rejections=rejections,
            signals=TamperSignals(producer, sealing_key, name, clock),
            limits=Limits(settings),
            revoked=serials,
            checks={
                "kafka": Check(producer.state),
                "registry": Check(registry.state, required=False),
                "revocations": Check(revoked.state),
                "policies": Check(policies.state),
            },
        )
        metrics.UNACKNOWLEDGED_BYTES.set_function(lambda: producer.unacknowledged_bytes)
        metrics.UNACKNOWLEDGED_AGE.set_function(producer.oldest_unacknowledged_s)
        metrics.CACHED_API_KEYS.set_function(lambda: keys.kept)
        ticks = Ticks(producer, name, clock)
        work = [
            asyncio.create_task(rejections.run(settings.rejection_interval_s)),
            asyncio.create_task(reload_token_keys(keys, settings.token_keys_file)),
            asyncio.create_task(ticks.write_forever(settings.tick_interval_s)),
        ]
        try:
            yield edge
        finally:
            for task in work:
                task.cancel()
            await asyncio.gather(*work, return_exceptions=True)
            # The listeners are closed and all requests answered, so no heartbeat comes after it.
            ticks.farewell()
            await rejections.flush()


def _key_directories(settings: EdgeSettings) -> set[Path]:
    """Where keys are kept: those of the settings, and the data directory."""
    files = (settings.token_keys_file, settings.policy_key_file, settings.pseudonym_key_file, settings.sealing_key_file)
    return {path.parent for path in files} | ({settings.data_dir} if settings.data_dir else set())
