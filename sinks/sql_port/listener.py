"""The SQL port's listener: uvicorn in this process, on a socket that is bound before anything else starts."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator, Iterator

import uvicorn
from starlette.applications import Starlette

from sinks.settings import SinkSettings
from sinks.sql_port.app import create_app
from sinks.sql_port.reader import Reader, Statement


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
    reader = Reader(connection_string, settings)
    zone = await asyncio.to_thread(reader.run, Statement("SELECT timezone()", default_format="TSVRaw"))
    app = create_app(reader.run, settings, token, zone.body.decode().strip())
    server = _Server(_config(app))
    task = asyncio.create_task(server.serve([_bound(settings.sql_host, settings.sql_port)]))
    try:
        await server.accepts.wait()
        yield
    finally:
        server.should_exit = True
        await asyncio.gather(task, return_exceptions=True)


def _config(app: Starlette) -> uvicorn.Config:
    return uvicorn.Config(
        app,
        http="httptools",
        ws="none",
        lifespan="off",
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=False,
        timeout_graceful_shutdown=5,
    )


def _bound(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    # asyncio sets TCP_NODELAY only on sockets that name their protocol.
    bound = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        bound.bind((host, port))
    except OSError:
        bound.close()
        raise
    bound.listen(128)
    return bound
