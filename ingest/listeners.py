"""What an edge listens on: mutual TLS for the network, plain HTTP for loopback."""

from __future__ import annotations

import asyncio
import contextlib
import resource
import socket
from collections.abc import Callable, Iterator
from functools import partial

import uvicorn
from starlette.types import ASGIApp

from ingest.acceptor import Acceptor
from ingest.front import Front
from ingest.garbage_collection import lasting_objects_spared
from ingest.protocol import EdgeProtocol
from ingest.tls import Tls

_BACKLOG = 2048


async def listen(app: ASGIApp, front: Front, ready: Callable[[], None]) -> None:
    """Serve until cancelled; ``ready`` is called once the ports answer. Raises OSError where a port is taken."""
    _raise_file_limit()
    background = [asyncio.create_task(front.deadlines.sweep_forever())]
    if front.tls is not None:
        background.append(asyncio.create_task(front.tls.reload_forever(front.settings.tls_reload_interval_s)))
    try:
        await _serve(app, front, ready)
    finally:
        for task in background:
            task.cancel()
        await asyncio.gather(*background, return_exceptions=True)


async def _serve(app: ASGIApp, front: Front, ready: Callable[[], None]) -> None:
    listeners: list[_Listener] = []
    tasks: list[asyncio.Task[None]] = []
    try:
        for bound, tls in _bindings(front):
            started = asyncio.Event()
            listeners.append(_Listener(app, front, bound, tls, started))
            tasks.append(asyncio.create_task(listeners[-1].serve([bound])))
            await started.wait()
        ready()
        with lasting_objects_spared():
            await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)  # unlike gather it leaves them be when cancelled
    finally:
        for listener in listeners:
            listener.should_exit = True
        await asyncio.gather(*tasks)


def _bindings(front: Front) -> list[tuple[socket.socket, Tls | None]]:
    settings = front.settings
    bindings: list[tuple[socket.socket, Tls | None]] = [(_bind(settings.edge_host, settings.edge_port), None)]
    if front.tls is not None:
        bindings.append((_bind(settings.edge_tls_host, settings.edge_tls_port), front.tls))
    return bindings


class _Listener(uvicorn.Server):
    """A uvicorn server with our own way of accepting, which leaves signals to the process."""

    def __init__(self, app: ASGIApp, front: Front, bound: socket.socket, tls: Tls | None, started: asyncio.Event) -> None:
        super().__init__(_config(app))
        self.config.load()
        self._started_event = started
        handshake_s = front.settings.request_timeout_s
        protocol = partial(EdgeProtocol, front, self.config, self.server_state)
        self._acceptor = Acceptor(bound, protocol, front.caps, tls.context if tls else None, handshake_s)

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        self.servers = [self._acceptor]  # type: ignore[list-item]
        self._acceptor.start()
        self.started = True
        self._started_event.set()


def _config(app: ASGIApp) -> uvicorn.Config:
    return uvicorn.Config(
        app,
        http="httptools",
        ws="none",
        lifespan="off",
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=False,
        timeout_graceful_shutdown=10,
    )


def _bind(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    # asyncio sets TCP_NODELAY only on sockets that name their protocol; without it every answer waits for a delayed ACK.
    bound = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    bound.bind((host, port))
    bound.listen(_BACKLOG)
    bound.setblocking(False)
    return bound


def _raise_file_limit() -> None:
    """As many open files as the process may have at all: many systems start processes with 1024."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    with contextlib.suppress(ValueError, OSError):  # macOS names a limit that it does not grant
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
