"""The SQL port's listener: uvicorn in this process, on a socket that is bound before anything else starts."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import time
from collections.abc import AsyncIterator, Iterator

import uvicorn
from starlette.applications import Starlette

from sinks.settings import SinkSettings
from sinks.sql_port.app import create_app
from sinks.sql_port.audit import KafkaTrail, Trail
from sinks.sql_port.control import Control
from sinks.sql_port.protocol import port_protocol
from sinks.sql_port.reader import Reader
from sinks.sql_port.running import Running
from sinks.sql_port.tokens import TokenFile

_MOST_CONNECTIONS = 256


class _Server(uvicorn.Server):
    """A uvicorn server that leaves signals to the process and says when it accepts connections."""

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self.accepts = asyncio.Event()

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self.accepts.set()


@contextlib.asynccontextmanager
async def listening(settings: SinkSettings, connection_string: str, token: str) -> AsyncIterator[None]:
    """Answer on the port meanwhile. Raises OSError where the port is taken."""
    reader = await asyncio.to_thread(Reader, connection_string, settings)
    tokens = TokenFile(token, settings.sql_tokens_path)
    kept = KafkaTrail(settings.kafka, settings.sql_audit_wait_s, _now_ms)
    async with kept as trail, answering(reader, settings, tokens, trail):
        yield


@contextlib.asynccontextmanager
async def answering(reader: Reader, settings: SinkSettings, tokens: TokenFile, trail: Trail) -> AsyncIterator[None]:
    """Answer for ``reader`` on the settings' port meanwhile; queries that still run in the end are ended."""
    control, running = Control(reader), Running()
    try:
        app = create_app(reader, control, running, settings, tokens, trail)
        async with _serving(_Server(_config(app, settings)), _bound(settings.sql_host, settings.sql_port)):
            try:
                yield
            finally:
                await running.close()
    finally:
        await control.close()


@contextlib.asynccontextmanager
async def _serving(server: _Server, listener: socket.socket) -> AsyncIterator[None]:
    task = asyncio.create_task(server.serve([listener]))
    try:
        await server.accepts.wait()
        yield
    finally:
        server.should_exit = True
        await asyncio.gather(task, return_exceptions=True)


def _now_ms() -> int:
    return time.time_ns() // 1_000_000


def _config(app: Starlette, settings: SinkSettings) -> uvicorn.Config:
    return uvicorn.Config(
        app,
        http=port_protocol(settings.sql_max_request_bytes, settings.sql_request_timeout_s),
        ws="none",
        lifespan="off",
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=False,
        limit_concurrency=_MOST_CONNECTIONS,
        timeout_graceful_shutdown=5,
    )


def _bound(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    # asyncio sets TCP_NODELAY only on sockets that name their protocol.
    listener = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((host, port))
    except OSError:
        listener.close()
        raise
    listener.listen(128)
    return listener
