"""The front alone, in a thread with a loop of its own: its application answers with what it was told of the client."""

from __future__ import annotations

import asyncio
import contextlib
import json
import threading
from collections.abc import Callable, Iterator
from dataclasses import asdict, fields
from pathlib import Path
from typing import Any

from infra.ports import free_port
from ingest.clock import Clock, system_clock
from ingest.edge import Edge
from ingest.front import make_front
from ingest.limits import Limits
from ingest.listeners import listen
from ingest.revoked_serials import RevokedSerials
from ingest.settings import EdgeSettings
from tests.ingest.pki import Pki

LoopFactory = Callable[[], asyncio.AbstractEventLoop] | None


def front_settings(pki: Pki | None, **changes: Any) -> EdgeSettings:
    unused = dict.fromkeys(("token_keys_file", "policy_key_file", "pseudonym_key_file", "sealing_key_file"), Path("unused"))
    values: dict[str, Any] = {"edge_port": free_port(), "edge_tls_port": free_port(), "edge_tls_host": "127.0.0.1", **unused}
    if pki is not None:
        values |= {"tls_cert_file": pki.cert, "tls_key_file": pki.key, "tls_ca_file": pki.ca, "tls_crl_file": pki.crl}
        values["tls_reload_interval_s"] = 0.05
    return EdgeSettings(**{**values, **changes})


async def what_it_knows(scope: Any, receive: Any, send: Any) -> None:
    """The application. The query is how many spaces it adds."""
    state = scope["state"]
    known = {
        "peer": state["peer"] and asdict(state["peer"]),
        "address": state["address"],
        "headers": [name.decode() for name, _ in scope["headers"]],
    }
    body = json.dumps(known).encode() + b" " * int(scope["query_string"] or 0)
    headers = [(b"content-type", b"application/json"), (b"content-length", str(len(body)).encode())]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": body})


@contextlib.contextmanager
def front_server(
    settings: EdgeSettings, loop_factory: LoopFactory = None, clock: Clock = system_clock
) -> Iterator[RevokedSerials]:
    """A running front; gives the revoked serials that it goes by."""
    revoked = RevokedSerials()
    members: dict[str, Any] = {field.name: None for field in fields(Edge)}
    members |= {"settings": settings, "clock": clock, "limits": Limits(settings), "revoked": revoked}
    edge = Edge(**members)
    ready = threading.Event()
    stop: list[Callable[[], object]] = []

    async def run() -> None:
        task = asyncio.create_task(listen(what_it_knows, make_front(edge), ready.set))
        loop = asyncio.get_running_loop()
        stop.append(lambda: loop.call_soon_threadsafe(task.cancel))
        await asyncio.gather(task, return_exceptions=True)

    def serve() -> None:
        with asyncio.Runner(loop_factory=loop_factory) as runner:
            runner.run(run())

    thread = threading.Thread(target=serve)
    thread.start()
    try:
        assert ready.wait(10), "the front did not start"
        yield revoked
    finally:
        stop[0]()
        thread.join()
