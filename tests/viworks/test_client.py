"""The client library against a server in memory that checks what it gets."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from schemas.sealing import Place, open_envelope
from tests.viworks.fake_server import FakeServer, problem
from viworks import AnswerNotTrusted, Client, Device, Identity, KeyFileError, Metrics, Refused

METRICS = Metrics(uptime=12, memory_usage=41.0, cpu_usage=3.5, network_activity=80)


def client_of(server: FakeServer) -> Client:
    device = Device("Linux", "6.1", "device-7", "hash-7")
    return Client("http://unused", Identity("c-1", b"s" * 32), device=device, transport=server, clock=lambda: 1_000)


async def test_messages_are_signed_and_registration_comes_first() -> None:
    server = FakeServer()
    async with client_of(server) as client:
        assert await client.heartbeat(METRICS) == 7
        await client.report_session(
            "s-1", "vpn_connection", "active", start_time=5, node_id="n", client_ip="192.0.2.0", user_agent="u"
        )
        await client.report_event("policy_violation", "low", "text", source_ip="192.0.2.0")
    assert server.registrations == 1
    assert [kind for kind, _ in server.received] == ["heartbeat", "sessions", "events"]
    assert server.received[0][1]["metrics"]["memory_usage"] == 41.0


async def test_what_is_sensitive_leaves_the_client_sealed() -> None:
    server = FakeServer()
    async with client_of(server) as client:
        event_id = await client.report_event("policy_violation", "low", "the secret text")
        await client.report_session(
            "s-1",
            "vpn_connection",
            "active",
            start_time=5,
            node_id="n",
            client_ip="x",
            internal_ip="10.8.0.7",
            user_agent="u",
        )
    event, session = server.received[0][1], server.received[1][1]
    opened = open_envelope(event["details"]["description"], Place("c-1", "event.description", event_id), server.soc)
    assert opened == b"the secret text"
    opened = open_envelope(session["metadata"]["internal_ip"], Place("c-1", "session.internal_ip", "s-1"), server.soc)
    assert opened == b"10.8.0.7"


@pytest.mark.parametrize(
    ("mode", "expected"),
    [("strict", ("192.0.2.0", "2001:db8:1::", "", "10.2.3.4")), ("seal", ("192.0.2.7", "2001:db8:1:2::3", "x", "10.2.3.4"))],
)
async def test_a_strict_server_gets_networks_alone(mode: str, expected: tuple[str, ...]) -> None:
    server = FakeServer()
    server.privacy_mode = mode
    async with client_of(server) as client:
        await client.report_event(
            "policy_violation", "low", "t", source_ip="192.0.2.7", target_ip="2001:db8:1:2::3", user_agent="10.2.3.4"
        )
        await client.report_session(
            "s-1", "vpn_connection", "active", start_time=5, node_id="n", client_ip="x", user_agent="u"
        )
    details, metadata = server.received[0][1]["details"], server.received[1][1]["metadata"]
    assert (details["source_ip"], details["target_ip"], metadata["client_ip"], details["user_agent"]) == expected


async def test_an_invalid_api_key_leads_to_one_new_registration() -> None:
    server = FakeServer()
    async with client_of(server) as client:
        await client.heartbeat(METRICS)
        server.forget_api_keys()
        await client.heartbeat(METRICS)
    assert (server.registrations, len(server.received)) == (2, 2)


async def test_a_refusal_carries_what_the_server_said() -> None:
    server = FakeServer()
    server.refusal = problem(503, "broker-unavailable", **{"retry-after": "5"})
    async with client_of(server) as client:
        with pytest.raises(Refused) as refused:
            await client.register()
    assert (refused.value.status, refused.value.retryable, refused.value.retry_after_s) == (503, True, 5.0)
    assert refused.value.type == "urn:viworks:problem:broker-unavailable"


async def test_policies_are_taken_only_with_the_servers_signature() -> None:
    server = FakeServer()
    async with client_of(server) as client:
        await client.register()
        assert (await client.policies()).policy_version == 7
        server.signing_seed = b"m" * 32
        with pytest.raises(AnswerNotTrusted):
            await client.policies()


async def test_older_policies_are_not_taken_though_the_server_signed_them() -> None:
    server = FakeServer()
    async with client_of(server) as client:
        await client.register()
        [policy] = (await client.policies()).policies
        assert (policy.heartbeat_interval, policy.reporting, policy.key_max_age_s) == (
            60,
            ("heartbeat", "sessions", "events"),
            None,
        )
        server.policy_version = 6
        with pytest.raises(AnswerNotTrusted, match="older"):
            await client.policies()
        for version in (7, 8):
            server.policy_version = version
            assert (await client.policies()).policy_version == version


def test_a_key_file_is_private_and_read_back(tmp_path: Path) -> None:
    path = tmp_path / "keys" / "client.key"
    made = Identity.load_or_create(path, "c-1")
    assert path.stat().st_mode & 0o777 == 0o600
    assert Identity.load_or_create(path, "c-1") == made
    assert "secret" not in repr(made)
    path.write_text("no key")
    with pytest.raises(KeyFileError):
        Identity.load_or_create(path, "c-1")


def test_the_library_imports_nothing_of_the_server() -> None:
    heavy = "aiokafka, chdb, faust, fastavro, starlette, pydantic, clickhouse_connect"
    script = f"import sys, viworks; print([name for name in '{heavy}'.split(', ') if name in sys.modules])"
    assert subprocess.run([sys.executable, "-c", script], capture_output=True, check=True).stdout.strip() == b"[]"
