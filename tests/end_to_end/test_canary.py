"""No plaintext of a sensitive member is anywhere in a running system, in either privacy mode; the SOC opens all of it.

Canaries are planted in every sensitive member of accepted and of refused messages, in headers, in paths and in bytes that
are no HTTP. Kafka's segments and records, ClickHouse's files and rows, logs, pages, answers and arguments are searched.
"""

from __future__ import annotations

import asyncio
import re
import time
from collections.abc import Iterator
from dataclasses import dataclass, field

import httpx2
import pytest
from clickhouse_connect.driver.client import Client as ClickHouse

from schemas.privacy import ADDRESSES, SENSITIVE
from schemas.sealing import SealingKey
from tests.end_to_end import canary_requests, sealed_requests, traces
from tests.end_to_end.canaries import Canaries, hits
from tests.end_to_end.canary_requests import Sender
from tests.end_to_end.soc import ENVELOPE, open_all, private_key
from tests.end_to_end.system import System
from tests.figures import Tell
from tests.infra.waiting import eventually
from tests.rust_client import RustClient

HEXADECIMAL = re.compile(rb"[0-9A-Fa-f]{128,}")
BRUTE_FORCE = "alerts WHERE rule = 'brute_force'"
EVENTS = 6  # as many as raise a brute_force alert, and one more


@dataclass
class Run:
    """A system after all requests were sent.

    ``hidden`` is for nobody to find, ``kept`` for the SOC alone, ``controls`` for everybody.
    """

    system: System
    sql: ClickHouse
    kept: Canaries = field(default_factory=Canaries)
    hidden: Canaries = field(default_factory=Canaries)
    controls: Canaries = field(default_factory=Canaries)
    sender: Sender = field(init=False)
    places: list[tuple[str, bytes]] = field(default_factory=list)
    opened: dict[bytes, bytes] = field(default_factory=dict)

    def wait_for_rows(self, counts: dict[str, int]) -> None:
        """Until everything that was sent has gone through every part."""
        refused = ("coalesce(sum(count), 0)", "rejections", self.sender.refused)
        for what, table, count in [refused, *(("count()", table, count) for table, count in counts.items())]:
            query = f"SELECT {what} FROM viworks.{table}"
            eventually(lambda q=query, n=count: self.sql.query(q).result_rows[0][0] >= n, f"{query} is {count}", 15)

    async def collect(self) -> None:
        self.places = [
            *traces.files(self.system),
            *await traces.records(self.system),
            *traces.tables(self.sql),
            *traces.pages(self.system),
            *self.sender.answers,
        ]
        self.opened = open_all(self.sql, private_key(self.system))


@pytest.fixture(scope="module")
def sealing(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Run]:
    """A system in the mode ``seal`` that got plaintext."""
    with System(tmp_path_factory.mktemp("seal") / "data", 0, 30) as system, system.sql("admin") as sql:
        run = Run(system, sql)
        asyncio.run(send_plaintext(run))
        yield run


async def send_plaintext(run: Run) -> None:
    async with httpx2.AsyncClient(base_url=run.system.run["edge"], timeout=30, trust_env=False) as http:
        run.sender = Sender(RustClient(http, "canary-client"))
        await canary_requests.accepted(run.sender, run.kept.fill, run.controls)
        await canary_requests.refused(run.sender, run.hidden)
    run.wait_for_rows({"heartbeats": 1, "events": EVENTS, "sessions": 1, "clients": 1, BRUTE_FORCE: 1})
    await run.collect()


@pytest.fixture(scope="module")
def strict(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Run]:
    """A system in the mode ``strict`` that got plaintext, which it refused, and sealed messages, which it took."""
    with (
        System(tmp_path_factory.mktemp("strict") / "data", 0, 30, privacy_mode="strict") as system,
        system.sql("admin") as sql,
    ):
        run = Run(system, sql)
        asyncio.run(send_sealed(run))
        yield run


async def send_sealed(run: Run) -> None:
    pem = (run.system.data_dir / "soc" / "sealing-public.pem").read_bytes()
    key = SealingKey.from_pem(pem)
    async with httpx2.AsyncClient(base_url=run.system.run["edge"], timeout=30, trust_env=False) as http:
        run.sender = Sender(RustClient(http, "canary-client"))
        await canary_requests.accepted(run.sender, sealed_requests.sealing(key, run.kept, run.hidden), run.controls)
        await sealed_requests.refused_plaintext(run.sender, key, run.hidden)
        await canary_requests.refused(run.sender, run.hidden)
    await sealed_requests.by_the_library(run.system.run["edge"], key, run.kept, run.hidden)
    run.wait_for_rows({"heartbeats": 1, "events": EVENTS + 1, "sessions": 2, "clients": 2, BRUTE_FORCE: 1})
    await run.collect()


@pytest.fixture(params=["sealing", "strict"])
def run(request: pytest.FixtureRequest) -> Run:
    found: Run = request.getfixturevalue(request.param)
    return found


def test_every_sensitive_member_was_planted(run: Run) -> None:
    members = [member for table in (SENSITIVE, ADDRESSES) for members in table.values() for member in members]
    for where in (run.hidden.planted, {**run.kept.planted, **run.hidden.planted}):
        assert [member for member in members if not any(member in name for name in where)] == []
    sensitive = [member for members in SENSITIVE.values() for member in members]
    assert [member for member in sensitive if not any(member in name for name in run.kept.planted)] == []


def test_no_canary_is_found(run: Run, tell: Tell) -> None:
    began = time.monotonic()
    planted = {**run.kept.planted, **run.hidden.planted}
    found = hits(planted, run.places)
    size = sum(len(content) for _, content in run.places)
    tell(
        f"{len(planted)} canaries, {run.sender.refused} requests refused, "
        f"{len(run.places)} places, {size / 1e6:.1f} MB, {len(found)} hits in {time.monotonic() - began:.1f} s, "
        f"{len(run.opened)} envelopes opened"
    )
    assert found == []


def test_no_signature_and_no_api_key_is_found(run: Run) -> None:
    registration = [(name, content) for name, content in run.sender.answers if b"201" in content or b'"api_key"' in content]
    key = {"API key": run.sender.client.api_key}
    texts = [(name, text.lower()) for name, content in run.places for text in HEXADECIMAL.findall(content)]
    assert [name for name, text in texts if any(signature in text for signature in run.sender.signatures)] == []
    assert hits(key, registration), "the search finds it where it has to be"
    assert hits(key, [place for place in run.places if place not in registration]) == []


def test_the_search_finds_what_is_there(run: Run) -> None:
    names = {hit.rpartition(" in ")[2] for hit in hits(run.controls.planted, run.places)}
    for place in ("kafka/data/viworks.events.v1", "kafka/data/viworks.sessions.v1"):
        assert any(name.startswith(place) and name.endswith(".log") for name in names), place
    for place in ("record of viworks.events.v1", "record of viworks.sessions.v1", "viworks.events", "viworks.sessions"):
        assert place in names
    for what, place in (
        ("takes requests", "logs/edge.log"),
        ("viworks_edge", "metrics"),
        ("problem+json", "answer"),
    ):
        assert any(place in hit for hit in hits({"it": what}, run.places)), place
    assert any(name.startswith("clickhouse/") for name, _ in run.places)


def _is_dropped(where: str) -> bool:
    """Heartbeats keep no signed bytes, so what they say beyond the protocol is kept nowhere."""
    return "Heartbeat" in where and "unknown member" in where


def test_the_soc_opens_every_envelope_and_finds_every_canary(run: Run) -> None:
    everywhere = {envelope for name, content in run.places if "record" in name for envelope in ENVELOPE.findall(content)}
    assert everywhere
    assert everywhere - set(run.opened) == set()
    inside = b"\n".join(run.opened.values())
    assert [
        where for where, value in run.kept.planted.items() if value.encode() not in inside and not _is_dropped(where)
    ] == []
