"""The SQL port on a socket of its own, over the engine of these tests, with a trail that keeps its records here."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Any

import clickhouse_connect
import httpx2
from clickhouse_connect.driver import Client

from infra.ports import free_port
from sinks.errors import AuditUnavailable
from sinks.settings import SinkSettings
from sinks.sql_port.audit import QueryFacts
from sinks.sql_port.listener import answering
from sinks.sql_port.reader import Reader
from sinks.sql_port.tokens import TokenFile, dump, new_token
from tests.sinks.warehouse import Warehouse

FIRST = "the-first-token-of-the-tests"


@dataclass
class FakeTrail:
    """Keeps the records; takes none while ``away``."""

    records: list[dict[str, Any]] = field(default_factory=list)
    away: bool = False

    async def record(self, facts: QueryFacts, outcome: str, code: int = 0) -> None:
        if self.away:
            raise AuditUnavailable("away")
        self.record_later(facts, outcome, code)

    def record_later(self, facts: QueryFacts, outcome: str, code: int = 0) -> None:
        self.records.append(facts.record(outcome, code, 1))

    def of(self, query_id: str) -> list[dict[str, Any]]:
        """The records of one query, in their order."""
        return [record for record in self.records if record["subject"] == query_id]


@dataclass
class Port:
    """An open port. ``tokens`` are by role."""

    number: int
    trail: FakeTrail
    tokens: dict[str, str]
    reader: Reader

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.number}"

    def http(self, role: str = "analyst") -> httpx2.AsyncClient:
        """A bare HTTP client."""
        headers = {"X-ClickHouse-Key": self.tokens[role]}
        return httpx2.AsyncClient(base_url=self.url, headers=headers, timeout=30, trust_env=False)

    async def client(self, role: str = "analyst", **options: Any) -> Client:
        """clickhouse-connect."""
        where = {"host": "127.0.0.1", "port": self.number, "username": role, "password": self.tokens[role]}
        return await asyncio.to_thread(clickhouse_connect.get_client, **where, database="viworks", **options)

    async def running(self, for_s: float = 0.0) -> int:
        """How many statements the engine works on, this question not among them, for longer than ``for_s`` seconds."""
        return await asyncio.to_thread(self._running, for_s)

    def _running(self, for_s: float) -> int:
        handle = self.reader.handle()
        try:
            counted = f"SELECT countIf(elapsed >= {for_s} AND query NOT LIKE '%countIf(elapsed%') FROM system.processes"
            found = handle.query(counted, "TSVRaw")
            return int(found.bytes().decode())
        finally:
            handle.close()


@contextlib.asynccontextmanager
async def open_port(warehouse: Warehouse, **changes: Any) -> AsyncIterator[Port]:
    """A port with the warehouse's settings, but for ``changes``."""
    number = free_port()
    settings: SinkSettings = warehouse.settings.model_copy(update={"sql_port": number, **changes})
    made = {role: new_token(f"the-{role}", role, 1) for role in ("analyst", "auditor", "admin")}
    path = settings.sql_tokens_path
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(dump([token for _, token in made.values()]))
    reader = Reader(warehouse.engine.connection_string, settings)
    trail = FakeTrail()
    tokens = {role: secret for role, (secret, _) in made.items()}
    async with answering(reader, settings, TokenFile(FIRST, path), trail):
        yield Port(number, trail, tokens, reader)
