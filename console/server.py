"""The console's process: the status page and the schema registry."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import Callable, Iterator

import uvicorn
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response
from starlette.routing import Mount, Route

from console import schema_registry
from console.allowlist import AddressAllowlist
from console.pages import document, status_page
from console.settings import ConsoleSettings
from console.warehouse import Warehouse, WarehouseAway

_HEADERS = {
    "Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-store",
}


def create_app(settings: ConsoleSettings, warehouse: Warehouse) -> Starlette:
    """The console as an application."""

    async def index(_: Request) -> Response:
        try:
            return HTMLResponse(await status_page(warehouse), headers=_HEADERS)
        except WarehouseAway as error:
            return HTMLResponse(document(f"<p>The SQL port does not answer: {error}</p>"), 503, headers=_HEADERS)

    return Starlette(
        routes=[Route("/", index), Mount("/registry", routes=schema_registry.ROUTES)],
        middleware=[Middleware(AddressAllowlist, networks=settings.console_allow)],
    )


class _Server(uvicorn.Server):
    """Leaves signals to the process and says when it accepts connections."""

    def __init__(self, config: uvicorn.Config, ready: Callable[[], None]) -> None:
        super().__init__(config)
        self._ready = ready

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self._ready()


async def serve(settings: ConsoleSettings, ready: Callable[[], None]) -> None:
    """Run the console until cancelled. Raises OSError where the port is taken or the token file cannot be read."""
    warehouse = Warehouse(settings.sql_host, settings.sql_port, settings.sql_token_file)
    bound = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    bound.bind((settings.console_host, settings.console_port))
    config = uvicorn.Config(
        create_app(settings, warehouse), lifespan="off", log_config=None, access_log=False, server_header=False, ws="none"
    )
    server = _Server(config, ready)
    serving = asyncio.create_task(server.serve([bound]))
    try:
        await asyncio.wait([serving])  # unlike an await of the task it leaves the server be when cancelled
    finally:
        server.should_exit = True
        await serving
        await warehouse.close()
