"""One edge process: its parts, its background work, its listeners (mutual TLS for the network, HTTP for loopback)."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import logging
import os
import socket
import ssl
import uuid
from collections.abc import AsyncIterator, Callable, Iterator
from functools import partial
from pathlib import Path

import uvicorn
from prometheus_client import start_http_server
from starlette.types import ASGIApp

from ingest import metrics
from ingest.app import create_app
from ingest.authentication import Authenticator
from ingest.clock import Clock, system_clock
from ingest.documents import Documents
from ingest.edge import Edge
from ingest.privacy import PrivacyGuard
from ingest.producer import BatchingProducer
from ingest.readiness import Check
from ingest.registry_link import RegistryLink
from ingest.rejections import Rejections
from ingest.revocations import Revocations
from ingest.settings import EdgeSettings
from ingest.ticks import tick_forever
from ingest.tokens import TokenKeys
from schemas.sealing import SealingKey

log = logging.getLogger(__name__)


async def serve(settings: EdgeSettings, ready: Callable[[], None]) -> None:
    """Run an edge until cancelled; ``ready`` is called once its ports answer.

    Raises:
        OSError: a port is taken.
        TokenError, SealingError: a key file cannot be used.
        aiokafka.errors.KafkaError: no broker at the start.
    """
    metrics_server, _ = start_http_server(settings.metrics_port, settings.metrics_host)
    try:
        async with running_edge(settings, system_clock) as edge:
            await _listen(create_app(edge), settings, partial(_serves, edge, ready))
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
    pseudonym_key = base64.b64decode(settings.pseudonym_key_file.read_bytes())
    producer = BatchingProducer(
        settings.kafka,
        linger_s=settings.produce_linger_s,
        timeout_s=settings.produce_timeout_s,
        max_unacknowledged_bytes=settings.max_unacknowledged_bytes,
    )
    async with producer, RegistryLink(settings.kafka, producer, name, settings.verdict_timeout_s, clock) as registry:
        rejections = Rejections(producer, name, clock)
        keys = TokenKeys.from_file(settings.token_keys_file)
        revocations = Revocations(settings.token_lifetime_s)
        edge = Edge(
            name=name,
            settings=settings,
            clock=clock,
            keys=keys,
            authenticator=Authenticator(keys, revocations),
            guard=PrivacyGuard(settings.privacy_mode, sealing_key, pseudonym_key),
            documents=Documents(settings, sealing_key),
            producer=producer,
            registry=registry,
            rejections=rejections,
            checks={"kafka": Check(producer.state), "registry": Check(registry.state, required=False)},
        )
        metrics.UNACKNOWLEDGED_BYTES.set_function(lambda: producer.unacknowledged_bytes)
        metrics.UNACKNOWLEDGED_AGE.set_function(producer.oldest_unacknowledged_s)
        metrics.CACHED_API_KEYS.set_function(lambda: keys.kept)
        work = [
            asyncio.create_task(rejections.run(settings.rejection_interval_s)),
            asyncio.create_task(tick_forever(producer, name, settings.tick_interval_s, clock)),
        ]
        try:
            yield edge
        finally:
            for task in work:
                task.cancel()
            await asyncio.gather(*work, return_exceptions=True)
            await rejections.flush()


class _Listener(uvicorn.Server):
    """A uvicorn server that leaves signals to the process and says when it accepts connections."""

    def __init__(self, config: uvicorn.Config, started: asyncio.Event) -> None:
        super().__init__(config)
        self._started_event = started

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self._started_event.set()


async def _listen(app: ASGIApp, settings: EdgeSettings, ready: Callable[[], None]) -> None:
    listeners: list[_Listener] = []
    tasks: list[asyncio.Task[None]] = []
    try:
        for config, bound in _bindings(app, settings):
            started = asyncio.Event()
            listeners.append(_Listener(config, started))
            tasks.append(asyncio.create_task(listeners[-1].serve([bound])))
            await started.wait()
        ready()
        await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)  # unlike gather it leaves them be when cancelled
    finally:
        for listener in listeners:
            listener.should_exit = True
        await asyncio.gather(*tasks)


def _bindings(app: ASGIApp, settings: EdgeSettings) -> list[tuple[uvicorn.Config, socket.socket]]:
    bindings = [(_config(app, settings), _bind(settings.edge_host, settings.edge_port))]
    if settings.tls_cert_file and settings.tls_key_file and settings.tls_ca_file:
        config = _config(app, settings)
        config.load()
        config.ssl = _tls_context(settings.tls_cert_file, settings.tls_key_file, settings.tls_ca_file)
        bindings.append((config, _bind(settings.edge_tls_host, settings.edge_tls_port)))
    return bindings


def _config(app: ASGIApp, settings: EdgeSettings) -> uvicorn.Config:
    return uvicorn.Config(
        app,
        http="httptools",
        ws="none",
        lifespan="off",
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=False,
        timeout_keep_alive=settings.keep_alive_s,
        timeout_graceful_shutdown=10,
    )


def _bind(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    # asyncio sets TCP_NODELAY only on sockets that name their protocol; without it every answer waits for a delayed ACK.
    bound = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    bound.bind((host, port))
    bound.listen(2048)
    return bound


def _tls_context(cert_file: Path, key_file: Path, ca_file: Path) -> ssl.SSLContext:
    """TLS 1.3 with a client certificate of our CA required."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_3
    context.verify_mode = ssl.CERT_REQUIRED
    context.load_cert_chain(cert_file, key_file)
    context.load_verify_locations(ca_file)
    return context
