"""Budgets: arithmetic with a time of our own, then over the wire."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import httpx2
import pytest
import pytest_asyncio
from hypothesis import given
from hypothesis import strategies as st

from infra.key_files import KeyFiles
from ingest.addresses import address_key
from ingest.connection_caps import ConnectionCaps
from ingest.errors import TooManyRequests
from ingest.in_flight import InFlightBytes
from ingest.limits import Limits
from ingest.token_bucket import Budget, TokenBuckets
from ingest.tokens import TokenKeys
from schemas import signing
from schemas.messages import Heartbeat, SecurityEvent, SecuritySeverity, decode_message
from tests.ingest.conftest import edge_settings, registry_double, serving
from tests.ingest.front_server import front_settings
from tests.rust_client import RustClient, now_ms
from tests.schemas import messages_samples as samples

NOW_S = 1_800_000_000.0
NOW_MS = int(NOW_S * 1000)


def buckets(rate: float = 2.0, burst: int = 10, max_keys: int = 1000) -> TokenBuckets:
    return TokenBuckets(Budget("test", rate, burst), max_keys)


def test_a_burst_then_the_rate() -> None:
    bucket = buckets()
    assert [bucket.take("a", NOW_S) for _ in range(10)] == [0.0] * 10
    assert bucket.take("a", NOW_S) == pytest.approx(0.5)
    assert bucket.take("a", NOW_S + 0.4) == pytest.approx(0.1)
    assert bucket.take("a", NOW_S + 0.5) == 0.0
    assert bucket.take("b", NOW_S) == 0.0
    assert bucket.left("a", NOW_S + 100) == 10


def test_a_refusal_takes_nothing_and_many_cost_many() -> None:
    bucket = buckets()
    assert bucket.take("a", NOW_S, 7) == 0.0
    assert bucket.take("a", NOW_S, 4) == pytest.approx(0.5)
    assert bucket.left("a", NOW_S) == 3
    assert bucket.take("a", NOW_S, 3) == 0.0


@given(
    st.floats(0.1, 1000),
    st.integers(1, 1000),
    st.lists(st.tuples(st.floats(0, 100), st.integers(1, 5)), max_size=100),
)
def test_never_more_than_burst_and_rate_allow(rate: float, burst: int, steps: list[tuple[float, int]]) -> None:
    bucket = buckets(rate, burst)
    now_s, admitted = NOW_S, 0
    for pause_s, cost in steps:
        now_s += pause_s
        if not bucket.take("a", now_s, cost):
            admitted += cost
        assert admitted <= burst + rate * (now_s - NOW_S) * (1 + 1e-6) + 1e-2
        assert 0 <= bucket.left("a", now_s) <= burst


@given(st.floats(0.1, 100), st.integers(1, 100))
def test_after_the_wait_it_is_admitted(rate: float, burst: int) -> None:
    bucket = buckets(rate, burst)
    while not (wait_s := bucket.take("a", NOW_S)):
        pass
    assert bucket.take("a", NOW_S + wait_s + 1e-6) == 0.0


def test_memory_is_bounded_and_the_idle_go_first() -> None:
    bucket = buckets(rate=0.001, burst=2, max_keys=100)
    for number in range(10_000):
        bucket.take("busy", NOW_S)
        bucket.take(f"once-{number}", NOW_S)
        assert len(bucket) <= 100
    assert bucket.take("busy", NOW_S) > 0
    assert bucket.take("once-0", NOW_S) == 0.0


def event(severity: SecuritySeverity) -> SecurityEvent:
    body, _ = samples.sign_as_rust({**samples.event(NOW_MS, "c-1"), "severity": severity})
    return decode_message(body, SecurityEvent)


def spend(limits: Limits) -> None:
    while True:
        try:
            limits.client("c-1", NOW_MS)
        except TooManyRequests:
            return


def small() -> Limits:
    return Limits(front_settings(None, client_rate_per_s=1.0, client_burst=4, urgent_rate_per_s=0.5, urgent_burst=2))


def test_urgent_events_have_a_reserve() -> None:
    limits = small()
    spend(limits)
    for severity in ("info", "low", "medium"):
        limits.before_body(SecurityEvent, "c-1", NOW_MS)
        with pytest.raises(TooManyRequests):
            limits.after_body(event(severity), NOW_MS)
    limits.after_body(event("high"), NOW_MS)
    limits.after_body(event("critical"), NOW_MS)
    with pytest.raises(TooManyRequests):
        limits.after_body(event("critical"), NOW_MS)
    with pytest.raises(TooManyRequests):
        limits.before_body(SecurityEvent, "c-1", NOW_MS)
    limits.before_body(Heartbeat, "c-2", NOW_MS)


def test_the_reserve_is_not_touched_while_there_is_budget() -> None:
    limits = small()
    for _ in range(4):
        limits.after_body(event("critical"), NOW_MS)
    for _ in range(2):
        limits.after_body(event("critical"), NOW_MS)


def test_headers_tell_what_is_left_once_half_is_gone() -> None:
    limits = small()
    seen = []
    for _ in range(4):
        limits.client("c-1", NOW_MS)
        seen.append(dict(limits.notice("c-1", NOW_MS)))
    assert seen[:2] == [{}, {}]
    assert seen[2] == {b"ratelimit-policy": b'"client";q=4;w=4', b"ratelimit": b'"client";r=1;t=3'}
    with pytest.raises(TooManyRequests) as refusal:
        limits.client("c-1", NOW_MS)
    assert refusal.value.answer_headers == {
        b"retry-after": b"1",
        b"ratelimit-policy": b'"client";q=4;w=4',
        b"ratelimit": b'"client";r=0;t=1',
    }


def test_the_defaults_let_a_healthy_fleet_through() -> None:
    limits = Limits(front_settings(None))
    # 5,000 spooled events in three minutes.
    for number in range(5_000):
        at_ms = NOW_MS + number * 36
        limits.before_body(SecurityEvent, "c-1", at_ms)
        limits.after_body(event("info"), at_ms)
    # 10,000 clients behind one address, a heartbeat every 15 s each, after all of them registered within two minutes.
    for number in range(10_000):
        assert limits.registration("192.0.2.1", NOW_MS + number * 12) is None
    for number in range(60_000):
        assert limits.address("192.0.2.1", NOW_S + number * 15 / 10_000) is None


def test_addresses_as_limits_see_them() -> None:
    same = {address_key(text) for text in ("2001:db8:1:2::1", "2001:db8:1:2:ffff::9", "2001:db8:1:2::1%eth0")}
    assert same == {"2001:db8:1:2::/64"}
    assert address_key("2001:db8:1:3::1") not in same
    assert address_key("::ffff:192.0.2.1") == address_key("192.0.2.1") == "192.0.2.1"


def test_connections_are_counted_by_address_and_together() -> None:
    caps = ConnectionCaps(per_address=2, total=3)
    assert [caps.enter(address) for address in "aaabb"] == [True, True, False, True, False]
    caps.leave("a")
    assert [caps.enter("c"), caps.enter("d")] == [True, False]


def test_a_share_of_memory_is_kept_for_events() -> None:
    room = InFlightBytes(1000)
    room.held = 749
    assert (room.shed(is_event=False), room.shed(is_event=True)) == (None, None)
    room.held = 750
    shed = [room.shed(is_event=False) for _ in range(100)]
    assert room.shed(is_event=True) is None
    assert len({problem and problem.answer_headers[b"retry-after"] for problem in shed}) == 5
    room.held = 1000
    assert room.shed(is_event=True) is not None


@pytest_asyncio.fixture
async def frugal(bootstrap: str, key_files: KeyFiles) -> AsyncIterator[httpx2.AsyncClient]:
    """A client of an edge that allows next to nothing."""
    settings = edge_settings(
        bootstrap,
        key_files,
        client_rate_per_s=0.01,
        client_burst=4,
        urgent_rate_per_s=0.01,
        urgent_burst=1,
        address_rate_per_s=0.01,
        address_burst=20,
        registration_rate_per_s=0.01,
        registration_burst=1,
    )
    async with (
        registry_double(bootstrap),
        serving(settings) as url,
        httpx2.AsyncClient(base_url=url, timeout=30, trust_env=False) as http,
    ):
        yield http


def keyed(http: httpx2.AsyncClient, client_id: str, files: KeyFiles) -> RustClient:
    client = RustClient(http, client_id)
    keys = TokenKeys.from_file(files.token_keys)
    client.api_key = keys.issue(client_id, signing.public_key_of(client.seed), 1, now_ms() // 1000 + 60)
    return client


def of_severity(client: RustClient, severity: str, number: int) -> dict[str, Any]:
    return {**samples.event(now_ms(), client.client_id), "severity": severity, "event_id": f"e-{number}"}


async def test_over_the_wire(frugal: httpx2.AsyncClient, key_files: KeyFiles) -> None:
    client, other = (keyed(frugal, name, key_files) for name in ("t-spent", "t-thrifty"))
    beats = [await client.post("heartbeat", samples.heartbeat(now_ms(), client.client_id)) for _ in range(5)]
    assert [answer.status_code for answer in beats] == [202] * 4 + [429]
    assert ["ratelimit" in answer.headers for answer in beats] == [False, False, True, True, True]
    assert int(beats[4].headers["retry-after"]) == 100
    assert beats[4].json() | {"detail": ""} == {
        "type": "urn:viworks:problem:rate-limited",
        "title": "Too many requests",
        "status": 429,
        "detail": "",
        "retryable": True,
    }
    severities = ("low", "critical", "critical")
    events = [await client.post("events", of_severity(client, severity, n)) for n, severity in enumerate(severities)]
    assert [answer.status_code for answer in events] == [429, 202, 429]
    assert (await other.get("config")).status_code == 200
    registrations = [await RustClient(frugal, f"t-new-{number}").register() for number in range(2)]
    assert [answer.status_code for answer in registrations] == [201, 429]
    flood = [(await frugal.get("/livez")).status_code for _ in range(12)]
    assert flood == [200] * 9 + [429] * 3
