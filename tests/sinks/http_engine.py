"""ClickHouse's HTTP interface over an embedded engine, as far as a sink uses it: several sinks share one engine by its DSN.

It stands in for a server, which has the same engine inside. One thing is not a server's own: what an insert calls
``input(...)``, the body of the request, is ``file(...)`` here, a file without a name that holds the body, since the embedded
engine takes no data beside a statement. Its condition, its token and its settings are the statement's own.
"""

from __future__ import annotations

import base64
import os
import re
import sys
import threading
import traceback
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

import chdb

from sinks.engine import EmbeddedEngine

# What a request of a user with a statement goes through on its way.
Gate = Callable[[str, str], AbstractContextManager[None]]

_INSERT = re.compile(r"INSERT INTO (\S+) (\(.*?\) SELECT .*)FORMAT Avro\s*$", re.DOTALL)
_SETTINGS = re.compile(r"async_insert|.*insert.*|.*dedup.*|max_.*|optimize_.*|input_format_avro.*")


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    connection_string = ""
    gate: Gate

    def handle_error(self, request: object, client_address: object) -> None:
        """Say nothing of clients that are gone: they are killed on purpose."""
        if not isinstance(sys.exception(), ConnectionError):
            traceback.print_exc()


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: _Server

    def do_GET(self) -> None:
        self.do_POST()

    def do_POST(self) -> None:
        wishes = {name: values[-1] for name, values in parse_qs(urlsplit(self.path).query).items()}
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        statement = wishes.pop("query", "")
        # Of each request its own, so that none outlives the engine with a client that keeps its connection.
        engine = chdb.connect(self.server.connection_string)
        try:
            with self.server.gate(self._user, statement):
                answer = _insert(engine, statement, body, wishes) if statement else _ask(engine, body.decode())
            self._answer(200, answer)
        except RuntimeError as error:
            self._answer(500, str(error).encode(), re.search(r"Code: (\d+)", str(error)))
        finally:
            engine.close()

    def log_message(self, *_: object) -> None:
        """Nothing: it would name statements."""

    @property
    def _user(self) -> str:
        kind, _, secret = self.headers.get("Authorization", "").partition(" ")
        return base64.b64decode(secret).decode().partition(":")[0] if kind == "Basic" else ""

    def _answer(self, status: int, body: bytes, code: re.Match[str] | None = None) -> None:
        self.send_response(status)
        if code:
            self.send_header("X-ClickHouse-Exception-Code", code[1])
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


def _ask(engine: Any, sql: str) -> bytes:
    return bytes(engine.query(sql, "TabSeparated").bytes())


def _insert(engine: Any, statement: str, body: bytes, wishes: dict[str, str]) -> bytes:
    found = _INSERT.match(statement)
    if not found:
        return _ask(engine, f"{statement} {body.decode()}")
    settings = "SETTINGS " + ", ".join(f"{key} = '{value}'" for key, value in wishes.items() if _SETTINGS.fullmatch(key))
    with _holding(body) as path:
        columns, select = found[2].split(" SELECT ", 1)
        select = select.replace(" FROM input(", f" FROM file('{path}', 'Avro', ", 1)
        return _ask(engine, f"INSERT INTO {found[1]} {columns} {settings} SELECT {select}")


@contextmanager
def _holding(body: bytes) -> Iterator[str]:
    number = os.memfd_create("http-engine")
    try:
        os.write(number, body)
        os.lseek(number, 0, os.SEEK_SET)
        yield f"/dev/fd/{number}"
    finally:
        os.close(number)


@contextmanager
def served(engine: EmbeddedEngine, port: int = 0, gate: Gate = lambda user, statement: nullcontext()) -> Iterator[str]:
    """Serve the engine meanwhile; the DSN."""
    server = _Server(("127.0.0.1", port), _Handler)
    server.connection_string, server.gate = engine.connection_string, gate
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}/"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
