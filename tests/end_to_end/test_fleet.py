"""``viworks fleet`` against a running system: registration, heartbeats, messages, mutual TLS, and who must be refused."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.deadline import eventually
from tests.end_to_end.system import System

SCENARIO = """
interval: 1s
acts:
- {act: events, rate: 10, for: 2s}
- {act: sessions, rate: 5, for: 2s, lasting: 500ms}
- {act: hostile, rate: 20, for: 2s}
"""


@pytest.fixture(scope="module")
def system(tmp_path_factory: pytest.TempPathFactory) -> Iterator[System]:
    """One of its own: a fleet that ends is an outage, which takes in the offline alerts of whoever else is there."""
    with System(tmp_path_factory.mktemp("fleet") / "data", 1, 1) as started:
        yield started


def played(system: System, *arguments: str) -> dict[str, Any]:
    report: dict[str, Any] = json.loads(system.command("fleet", *arguments, "--json").stdout)
    return report


async def test_a_fleet_registers_beats_and_reports_and_comes_again(system: System, tmp_path: Path) -> None:
    scenario = tmp_path / "all.yaml"
    scenario.write_text(SCENARIO)
    arguments = (str(scenario), "--clients", "20", "--name", "sim", "--state", str(tmp_path / "state"))
    first = played(system, *arguments, "--duration", "5s")
    assert first["sent"]["heartbeat"] >= 60
    assert {verdict["kind"] for verdict in first["verdicts"]} == {"hostile"}
    assert {verdict["status"] for verdict in first["verdicts"]} >= {400, 401, 403, 422}
    assert "hostile" not in first["accepted"]
    messages = first["messages"]
    assert messages["accepted"] > 20
    assert (messages["refused"], messages["lost"], messages["spooled"]) == (0, 0, 0)
    query = "SELECT uniqExact(client_id) FROM viworks.heartbeats WHERE startsWith(client_id, 'sim-')"
    with system.sql() as sql:
        await eventually(lambda: sql.query(query).result_rows == [(20,)], 10, "all are in SQL")
    kept = tmp_path / "state" / "clients.json"
    assert kept.stat().st_mode & 0o077 == 0
    before = kept.read_bytes()
    again = played(system, *arguments, "--duration", "2s", "--connections", "each")
    assert again["accepted"]["heartbeat"] >= 20
    assert again["connections"]["limit"] == "one each"
    assert 15 <= again["connections"]["open"] <= 20  # some hostile request has just ended its connection
    assert kept.read_bytes() == before  # nobody has registered anew: that would have given other API keys


def test_with_https_each_client_has_a_certificate_of_its_own(system: System) -> None:
    authority = system.data_dir / "pki" / "ca.pem"
    options = ("--server", system.run["edge_tls"], "--ca", str(authority), "--interval", "1s")
    report = played(system, "steady", *options, "--clients", "4", "--name", "tls", "--duration", "3s")
    assert report["accepted"]["heartbeat"] >= 8
    assert report["verdicts"] == []
    assert report["connections"] == {"limit": "one each", "open": 4}
