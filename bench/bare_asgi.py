"""The bound of the edge's HTTP side: the same uvicorn with an application that reads the body and answers 202."""

from __future__ import annotations

import sys
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

import uvicorn
import uvloop

Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]


async def app(_: MutableMapping[str, Any], receive: Receive, send: Send) -> None:
    """Read one body event, answer."""
    await receive()
    headers = [(b"content-type", b"application/json"), (b"content-length", b"2")]
    await send({"type": "http.response.start", "status": 202, "headers": headers})
    await send({"type": "http.response.body", "body": b"{}"})


if __name__ == "__main__":
    config = uvicorn.Config(
        app, port=int(sys.argv[1]), http="httptools", ws="none", lifespan="off", access_log=False, server_header=False
    )
    uvloop.run(uvicorn.Server(config).serve())
