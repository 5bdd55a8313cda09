"""The main job, end to end, on the real parts: what a user of ``viworks up`` sees."""

from __future__ import annotations

import datetime
import json
import shutil
import signal
import socket
import ssl
import statistics
import subprocess
import time
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

import pytest
from clickhouse_connect.driver.client import Client as ClickHouse
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from infra.pki import ensure_pki, load_authority
from processors.certificate_authority import CertificateAuthority
from tests.end_to_end.conftest import INTERVAL_S
from tests.end_to_end.system import System
from tests.infra.waiting import eventually
from tests.rust_client import BASE, now_ms
from tests.schemas import messages_samples as samples
from tests.topic_probe import TopicProbe

VISIBLE_WITHIN_S = 1.0
GRACE_S = 2


def curl(url: str, body: bytes, headers: dict[str, str]) -> tuple[int, dict[str, Any]]:
    """POST as a user would, by curl; by the standard library where the machine has no curl."""
    if shutil.which("curl") is None:
        request = urllib.request.Request(url, body, headers, method="POST")
        with urllib.request.urlopen(request, timeout=10) as answer:
            return answer.status, json.loads(answer.read())
    options = [option for name, value in headers.items() for option in ("-H", f"{name}: {value}")]
    command = ["curl", "-s", "-w", "\n%{http_code}", "--data-binary", "@-", *options, url]
    output, _, status = subprocess.run(command, input=body, capture_output=True, check=True, timeout=10).stdout.rpartition(
        b"\n"
    )
    return int(status), json.loads(output)


def one_row(sql: ClickHouse, query: str, sent_at: float) -> float:
    """The query counts one row. Returns the time (s) after which it was visible."""
    eventually(lambda: sql.query(query).result_rows == [(1,)], query, 10)
    took_s = time.monotonic() - sent_at
    assert sql.query(query).result_rows == [(1,)]
    return took_s


def test_the_card_names_the_addresses(system: System) -> None:
    card = system.terminal()
    for name in ("edge", "sql", "console"):
        assert system.run[name] in card
    assert "curl" in card


def test_the_four_examples_are_accepted_by_curl_and_are_one_row_each(system: System, sql: ClickHouse) -> None:
    client, now = samples.CLIENT_ID, now_ms()
    queries = {
        "register": (samples.registration(now), f"SELECT count() FROM clients WHERE client_id = '{client}'"),
        "heartbeat": (samples.heartbeat(now), f"SELECT count() FROM heartbeats WHERE client_id = '{client}'"),
        "sessions": (samples.session(now), "SELECT count() FROM sessions WHERE session_id = 'session-abc123'"),
        "events": (samples.event(now), "SELECT count() FROM events WHERE event_id = 'event-xyz789'"),
    }
    api_key = ""
    took_s: list[float] = []
    for resource, (message, query) in queries.items():
        body, signature = samples.sign_as_rust(message)
        headers = {"Content-Type": "application/json", "Authorization": f"Bearer {api_key}", "X-Client-ID": client}
        headers |= {"X-Signature": signature}
        sent_at = time.monotonic()
        status, answer = curl(system.run["edge"] + BASE + resource, body, headers)
        assert status == (201 if resource == "register" else 202), answer
        api_key = answer.get("api_key", api_key)
        took_s.append(one_row(sql, query, sent_at))
    # As a median: what 99 in 100 take, ``make bench`` says.
    assert statistics.median(took_s) < VISIBLE_WITHIN_S


def test_columns_carry_the_messages_own_names(sql: ClickHouse) -> None:
    row = sql.query(
        "SELECT cpu_usage, memory_usage, uptime, status FROM heartbeats WHERE client_id = 'viworks-client-12345'"
    )
    assert row.result_rows == [(pytest.approx(12.8), pytest.approx(45.2), 3600.0, "online")]
    row = sql.query("SELECT event_type, severity, error_code, source_ip FROM events WHERE event_id = 'event-xyz789'")
    assert row.result_rows == [("authentication_failure", "medium", "AUTH_001", "192.168.1.0")]
    row = sql.query("SELECT node_id, client_ip, status FROM sessions WHERE session_id = 'session-abc123'")
    assert row.result_rows == [("node-001", "192.168.1.0", "active")]


async def alerts_on_kafka(bootstrap: str, client_id: str) -> list[dict[str, Any]]:
    async with TopicProbe(bootstrap) as probe:
        await probe.rewind()
        return await probe.records("alert", client_id)


async def test_a_client_that_falls_silent_is_one_offline_alert_and_its_return_resolves_it(
    system: System, sql: ClickHouse
) -> None:
    client = "demo-0002"
    query = f"SELECT status FROM alerts WHERE rule = 'offline' AND client_id = '{client}' ORDER BY timestamp, status"
    eventually(
        lambda: sql.query(f"SELECT state FROM fleet_now WHERE client_id = '{client}'").result_rows == [("online",)], "online"
    )

    system.command("demo", "stop", client)
    eventually(lambda: sql.query(query).result_rows, "offline alert", 3 * INTERVAL_S + GRACE_S + 10)
    assert sql.query(query).result_rows == [("firing",)]
    state = f"SELECT state FROM fleet_now WHERE client_id = '{client}'"
    eventually(lambda: sql.query(state).result_rows == [("offline",)], "offline in fleet_now", 5)
    last_seen = f"SELECT max(received_at) FROM heartbeats WHERE client_id = '{client}'"
    since_heartbeat = (
        f"SELECT dateDiff('ms', ({last_seen}), timestamp) FROM alerts WHERE client_id = '{client}' AND rule = 'offline'"
    )
    delay_ms = sql.query(since_heartbeat).result_rows[0][0]
    assert delay_ms >= (3 * INTERVAL_S + GRACE_S) * 1000

    system.command("demo", "start", client)
    eventually(lambda: len(sql.query(query).result_rows) == 2, "resolved", 10)
    assert sorted(sql.query(query).result_rows) == [("firing",), ("resolved",)]
    on_kafka = await alerts_on_kafka(system.run["kafka"], client)
    assert [alert["status"] for alert in on_kafka if alert["rule"] == "offline"] == ["firing", "resolved"]
    assert len({alert["alert_id"] for alert in on_kafka}) == 1


def test_nobody_else_was_taken_for_offline(sql: ClickHouse) -> None:
    rows = sql.query(
        "SELECT DISTINCT client_id FROM alerts WHERE rule = 'offline' AND startsWith(client_id, 'demo')"
    ).result_rows
    assert rows == [("demo-0002",)]


def test_the_console_and_the_schema_registry_answer(system: System) -> None:
    with urllib.request.urlopen(system.run["console"], timeout=10) as answer:
        page = answer.read().decode()
    assert "online" in page
    with urllib.request.urlopen(f"{system.run['registry']}/schemas/ids/4", timeout=10) as answer:
        assert json.loads(json.loads(answer.read())["schema"])["name"] == "Heartbeat"


def over_tls(system: System, certificate: Path | None) -> bytes:
    """The first bytes that the network listener answers to a request; nothing where it refuses the connection."""
    context = ssl.create_default_context(cafile=str(system.data_dir / "pki" / "ca.pem"))
    if certificate is not None:
        context.load_cert_chain(certificate)
    port = int(system.run["edge_tls"].rpartition(":")[2])
    try:
        with (
            socket.create_connection(("127.0.0.1", port), timeout=5) as plain,
            context.wrap_socket(plain, server_hostname="localhost") as secure,
        ):
            secure.sendall(b"GET /livez HTTP/1.1\r\nHost: localhost\r\n\r\n")
            return secure.recv(15)
    except (ssl.SSLError, ConnectionError):
        return b""


def client_certificate(authority: CertificateAuthority, directory: Path) -> Path:
    key = ec.generate_private_key(ec.SECP256R1())
    certificate = authority.issue_client("c-1", key.public_key(), datetime.datetime.now(datetime.UTC))
    path = directory / "client.pem"
    pem = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    path.write_bytes(pem + certificate.public_bytes(Encoding.PEM))
    return path


def test_the_network_listener_wants_a_certificate_of_our_authority(system: System, tmp_path: Path) -> None:
    ours = load_authority(ensure_pki(system.data_dir))
    (tmp_path / "foreign").mkdir()
    foreign = load_authority(ensure_pki(tmp_path / "foreign"))
    assert over_tls(system, client_certificate(ours, tmp_path)) == b"HTTP/1.1 200 OK"
    assert over_tls(system, client_certificate(foreign, tmp_path)) == b""
    assert over_tls(system, None) == b""


def test_a_stop_leaves_no_process_and_a_second_start_continues(tmp_path: Path) -> None:
    # The simulated clients start last and count as silent until then: their deadline must be longer than that takes.
    system = System(tmp_path / "data", 2, interval_s=5)
    with system, system.sql() as sql:
        eventually(lambda: count(sql, "heartbeats") >= 2, "heartbeats")
        eventually(lambda: count(sql, "clients") == 2, "clients")  # each table has its rows in its own time
        clients = sql.query("SELECT client_id, registered_at FROM clients ORDER BY client_id").result_rows
        last = sql.query("SELECT max(received_at) FROM heartbeats").result_rows[0][0]
        before = count(sql, "heartbeats")
        assert system.stop(signal.SIGINT) == 0
    assert system.living() == []
    assert not (system.data_dir / "run.json").exists()

    with system, system.sql() as sql:
        eventually(lambda: count(sql, f"heartbeats WHERE received_at > '{last}'") >= 4, "new heartbeats")
        assert count(sql, "heartbeats") >= before + 4
        assert sql.query("SELECT client_id, registered_at FROM clients ORDER BY client_id").result_rows == clients
        assert count(sql, "alerts WHERE rule = 'offline'") == 0
        assert system.stop(signal.SIGTERM) == 0
    assert system.living() == []


def count(sql: ClickHouse, rows: str) -> int:
    return int(sql.query(f"SELECT count() FROM {rows}").result_rows[0][0])
