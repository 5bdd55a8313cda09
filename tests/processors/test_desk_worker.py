"""Signals, rules, the desk and its orders through a worker on the real broker."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest

from infra.administration import order
from infra.kafka import EmbeddedKafka
from processors import worker
from processors.alerts import alert_id
from processors.desk_agent import DeskAgent
from processors.errors import DeliveryFailed, RulesInvalid, WorkerFailed
from processors.settings import ProcessorSettings
from schemas.topics import ALERTS, AUDIT, CLIENTS, DLQ, EVENTS, HEARTBEATS, REGISTRATIONS, REJECTIONS, SIGNALS, SILENCES
from tests.deadline import eventually
from tests.processors.harness import RULES, Lab, evidence, worker_settings, working
from tests.processors.samples import a_client, audit, command, event, heartbeat, now_ms, registration, rejection

SOURCES = """
- {id: refused, title: Refused, severity: low, source: rejections, detection: {reason: bad-signature}}
- {id: failed, title: Failed, severity: high, source: audit, detection: {outcome: failed, action: retention.run}}
- {id: hot, title: Hot, severity: low, source: heartbeats, detection: {"cpu_usage|gte": 90}, clear: {"cpu_usage|lt": 90}}
- {id: skewed, title: Skewed, severity: low, source: heartbeats, detection: {"skew_ms|gte": 60000}}
- id: mass_offline_node
  title: Many clients of a node
  severity: critical
  source: liveness
  detection: {state: offline, reason: missed_heartbeats}
  clear: {state: [online, error, maintenance]}
  correlation:
    {type: value_count, field: client_id, group_by: [node_id], timespan: 2m, condition: {gte: 5, share: 0.5, of: node}}
  groups: [offline]
"""


def a_rules_file(path: Path, more: str = "") -> Path:
    file = path / "rules.yaml"
    file.write_text(RULES.read_text() + more)
    return file


async def failures(lab: Lab, client: str, count: int) -> None:
    for _ in range(count):
        await lab.send(EVENTS, event(client, event_type="authentication_failure", severity="medium"))


async def test_each_source_leads_to_its_alert(
    kafka: EmbeddedKafka, lab: Lab, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    client, node = a_client(), f"node-{a_client()}"
    settings = worker_settings(kafka.bootstrap, tmp_path, rules=a_rules_file(tmp_path, SOURCES))
    async with working(settings):
        await lab.send(REGISTRATIONS, registration(client, node_id=node))
        await lab.send(REGISTRATIONS, registration(client, key=b"\x02" * 32))
        await lab.wait_for(ALERTS, client_id=client, rule="identity_conflict", node_id=node)
        await lab.send(REJECTIONS, rejection(client))
        await lab.send(REJECTIONS, rejection(client, reason="rate-limited"))
        await lab.send_raw(REJECTIONS, client, b"poison")
        await lab.send(AUDIT, audit(client))
        await lab.send(HEARTBEATS, heartbeat(client, cpu_usage=95.0, timestamp=now_ms() + 120_000))
        await lab.send(EVENTS, event(client, severity="high"))
        await lab.wait_for(ALERTS, rule="failed", severity="high")
        for rule in ("refused", "hot", "skewed", "high_severity"):
            [alert] = await lab.wait_for(ALERTS, client_id=client, rule=rule)
            assert (alert["status"], alert["node_id"]) == ("firing", node)
        await lab.send(HEARTBEATS, heartbeat(client, cpu_usage=5.0, timestamp=now_ms() + 121_000))
        await lab.wait_for(ALERTS, client_id=client, rule="hot", status="resolved")
        await eventually(lambda: [letter for letter in lab.raw(DLQ) if letter.key == client.encode()], 5)
    assert len(lab.of(ALERTS, client_id=client, rule="refused")) == 1
    # A changelog that is not there at the first assignment belongs to nobody until the next.
    assert "Ignoring missing topic" not in caplog.text


async def test_a_node_s_outage_is_one_incident(kafka: EmbeddedKafka, lab: Lab, tmp_path: Path) -> None:
    node, clients = f"node-{a_client()}", [a_client() for _ in range(100)]
    settings = worker_settings(kafka.bootstrap, tmp_path, rules=a_rules_file(tmp_path, SOURCES))
    async with working(settings), lab.ticking("edge-of-the-node"):
        await asyncio.gather(*(lab.send(REGISTRATIONS, registration(each, node_id=node)) for each in clients))
        await eventually(lambda: len(lab.of(CLIENTS, node_id=node)) >= len(clients), 20)
        alive, gone = clients[:40], clients[40:]
        await asyncio.gather(*(lab.send(HEARTBEATS, heartbeat(each, interval_ms=600)) for each in gone))
        await asyncio.gather(*(lab.send(HEARTBEATS, heartbeat(each, interval_ms=300_000)) for each in alive))
        [incident] = await lab.wait_for(ALERTS, rule="mass_offline_node", node_id=node, within_s=15)
        assert (incident["status"], incident["client_id"]) == ("firing", "")
        # What fired before it has become part of it. All come back, and with them it is over.
        await eventually(lambda: set() < fired(lab, gone) == parts_of(lab, incident), 5)
        await asyncio.gather(*(lab.send(HEARTBEATS, heartbeat(each, interval_ms=300_000)) for each in gone))
        [_, over] = await lab.wait_for(ALERTS, 2, rule="mass_offline_node", node_id=node)
    assert (over["status"], evidence(over)["members"] > 30) == ("resolved", True)
    assert fired(lab, clients) == parts_of(lab, incident)
    assert len(fired(lab, clients)) < 60


def fired(lab: Lab, clients: list[str]) -> set[str]:
    found = lab.of(ALERTS, rule="offline", status="firing")
    return {alert["alert_id"] for alert in found if alert["client_id"] in clients}


def parts_of(lab: Lab, incident: dict[str, Any]) -> set[str]:
    resolved = lab.of(ALERTS, rule="offline", status="resolved")
    return {alert["alert_id"] for alert in resolved if evidence(alert).get("part_of") == incident["alert_id"]}


async def test_orders_are_carried_out_and_answered(settings: ProcessorSettings, lab: Lab) -> None:
    bootstrap, client, quiet = settings.kafka, a_client(), a_client()
    first, second = event(client, severity="high"), event(quiet, severity="high")
    acknowledged = alert_id("high_severity", client, first["event_id"])
    silence_id = a_client()
    async with working(settings):
        await lab.send(EVENTS, first)
        await lab.wait_for(ALERTS, alert_id=acknowledged)
        body = {"client_id": quiet, "duration_ms": 3_600_000, "reason": "change 4711"}
        verdict = await order(bootstrap, silence_id, "alert.silence", body, "ann", topic=SIGNALS)
        assert verdict["outcome"] == "accepted"
        verdict = await order(bootstrap, acknowledged, "alert.acknowledge", {"reason": "on it"}, "ann", topic=SIGNALS)
        assert verdict["outcome"] == "accepted"
        refused = await order(bootstrap, "nothing", "alert.acknowledge", {}, "ann", topic=SIGNALS)
        assert (refused["outcome"], refused["details"]["reason"]) == ("refused", "no alert of this id stands")
        [record] = await lab.wait_for(ALERTS, alert_id=acknowledged, status="acknowledged")
        assert record["actor"] == "ann"
        assert {each["action"] for each in await lab.wait_for(AUDIT, 2, actor="ann")} == {
            "alert.silence", "alert.acknowledge",
        }  # fmt: skip
        await lab.send(EVENTS, second)
        [hidden] = await lab.wait_for(ALERTS, client_id=quiet)
        assert (hidden["status"], hidden["suppressed_by"]) == ("suppressed", f"silence:{silence_id}")
    [silence] = lab.of(SILENCES, silence_id=silence_id)
    assert (silence["actor"], silence["reason"]) == ("ann", "change 4711")
    # Another worker knows of all this.
    async with working(settings):
        await lab.order(command(silence_id, "alert.unsilence"), SIGNALS)
        [told] = await lab.wait_for(ALERTS, client_id=quiet, status="firing")
    assert (told["alert_id"], told["suppressed_by"]) == (hidden["alert_id"], None)
    assert len(lab.of(ALERTS, alert_id=acknowledged)) == 2


async def test_a_crash_between_an_alert_and_its_state_repeats_the_alert(
    settings: ProcessorSettings, lab: Lab, monkeypatch: pytest.MonkeyPatch
) -> None:
    client = a_client()

    async def broken(*_: Any) -> None:
        raise DeliveryFailed("as if the broker were away")

    async with working(settings) as task:
        await failures(lab, client, 4)
        # The windows are persisted once something that came after them has led to an alert.
        await lab.send(EVENTS, event(client, severity="high"))
        await lab.wait_for(ALERTS, client_id=client, rule="high_severity")
        monkeypatch.setattr(DeskAgent, "_persist", broken)
        await failures(lab, client, 1)
        with pytest.raises(WorkerFailed):
            await asyncio.wait_for(asyncio.shield(task), 30)
    monkeypatch.undo()
    async with working(settings):
        records = await lab.wait_for(ALERTS, 2, client_id=client, rule="brute_force")
        await failures(lab, client, 1)
        await lab.send(EVENTS, event(client, severity="critical"))
        await lab.wait_for(ALERTS, client_id=client, severity="critical")
    assert len({(alert["alert_id"], alert["status"], alert["evidence"]) for alert in records}) == 1
    assert len(lab.of(ALERTS, client_id=client, rule="brute_force")) == 2


async def test_rules_change_while_a_window_is_half_full(kafka: EmbeddedKafka, lab: Lab, tmp_path: Path) -> None:
    client = a_client()
    file = a_rules_file(tmp_path)
    async with working(worker_settings(kafka.bootstrap, tmp_path, rules=file)):
        await failures(lab, client, 3)
        await lab.send(EVENTS, event(client, severity="high"))
        await lab.wait_for(ALERTS, client_id=client, rule="high_severity")
        file.write_text("rules: [")
        await lab.send(REJECTIONS, rejection(client))
        a_rules_file(tmp_path, SOURCES)
        await eventually(lambda: refused(lab, client), 10)
        await failures(lab, client, 2)
        [alert] = await lab.wait_for(ALERTS, client_id=client, rule="brute_force")
        assert len(evidence(alert)["event_ids"]) == 5
        a_rules_file(tmp_path)
        # What stands of a rule that is no more is over.
        await lab.wait_for(ALERTS, client_id=client, rule="refused", status="resolved")


async def refused(lab: Lab, client: str) -> bool:
    await lab.send(REJECTIONS, rejection(client))
    return bool(lab.of(ALERTS, client_id=client, rule="refused"))


async def test_a_worker_does_not_start_with_bad_rules(kafka: EmbeddedKafka, tmp_path: Path) -> None:
    file = a_rules_file(tmp_path, "- {id: nothing}\n")
    with pytest.raises(RulesInvalid, match=r"rules\.yaml:\d+: "):
        await worker.serve(worker_settings(kafka.bootstrap, tmp_path, rules=file), lambda: None)


async def test_an_outage_is_told_while_it_lasts(kafka: EmbeddedKafka, lab: Lab, tmp_path: Path) -> None:
    # Longer than a loaded machine may keep a tick waiting.
    settings = worker_settings(kafka.bootstrap, tmp_path, blind_after_ms=3_000, liveness_gap_ms=3_000)
    async with working(settings):
        async with lab.ticking("edge-that-goes"):
            await until_the_clock_runs(lab)
        stopped_at = now_ms()
        [firing] = await eventually(lambda: lasting(lab, stopped_at), 10)
    async with working(settings), lab.ticking("edge-that-comes"):
        [resolved] = await lab.wait_for(ALERTS, alert_id=firing["alert_id"], status="resolved")
        assert evidence(resolved)["start"] <= stopped_at <= evidence(resolved)["end"]
        await until_the_clock_runs(lab)
    # What was blind before, between the tests, may have ended at the very tick that this incident begins with.
    since = [a for a in lab.of(ALERTS, rule="ingest_blind") if evidence(a)["start"] >= evidence(firing)["start"]]
    assert {alert["alert_id"] for alert in since} == {firing["alert_id"]}


def lasting(lab: Lab, at_ms: int) -> list[dict[str, Any]]:
    """The incidents that began at about this time and have not ended."""
    told = lab.of(ALERTS, rule="ingest_blind", status="firing")
    return [each for each in told if "end" not in evidence(each) and abs(each["timestamp"] - at_ms) < 3_000]


async def until_the_clock_runs(lab: Lab) -> None:
    """A client that is found to be silent shows that ticks arrive."""
    client = a_client()
    await lab.send(HEARTBEATS, heartbeat(client, interval_ms=100))
    await lab.wait_for(ALERTS, client_id=client, rule="offline")


async def test_poison_among_the_signals_stops_none_of_its_neighbours(settings: ProcessorSettings, lab: Lab) -> None:
    client = a_client()
    fields = [b"[]", b"{", b'{"start": "x"}', b'{"start": 1, "end": 99999999999999999999}']
    async with working(settings):
        await lab.send_raw(SIGNALS, client, b"poison")
        for each in fields:
            await lab.send(SIGNALS, a_signal(client, each.decode()))
        await lab.send(EVENTS, event(client, severity="high"))
        await lab.wait_for(ALERTS, client_id=client, rule="high_severity")
        await eventually(lambda: len([letter for letter in lab.raw(DLQ) if letter.key == client.encode()]) == 5, 5)


def a_signal(client: str, fields: str) -> dict[str, Any]:
    return {
        "signal_id": a_client(), "source": "blind", "client_id": client, "node_id": None, "timestamp": 1, "received_at": 1,
        "fields": fields,
    }  # fmt: skip
