"""From what agents carry to signals, and by the shipped rules to alerts, without Kafka."""

from __future__ import annotations

import json
from typing import Any

import pytest

from processors import alerts
from processors.alerting import signals, sources
from processors.alerting.detection import Detection, Kept
from processors.alerting.signal_clock import watermark_name
from processors.alerting.signals import Signal
from processors.alerts import Alert, Status, alert_id
from processors.clones import Boots
from processors.liveness import ClientState, Transition
from processors.rules.engine import Engine
from processors.rules.loading import read_rules
from processors.watermark import BlindSpan
from schemas import codec
from schemas.topics import HEARTBEATS
from tests.processors.samples import audit, event, heartbeat, registration, rejection

ONLINE = ClientState("online", "heartbeat", 100, 90, 1_000, 100)
MISSING = ONLINE._replace(state="offline", reason="missed_heartbeats")
GONE = MISSING._replace(state="gone", reason="stale")
GOODBYE = ONLINE._replace(state="offline", reason="reported", last_heartbeat=9_000)
BACK = ONLINE._replace(last_heartbeat=9_000)

CLIENT = {"client_id": "c", "node_id": "n1", "key_id": "a", "key_epoch": 1}


def transition(previous: ClientState | None, current: ClientState) -> Signal:
    return sources.of_transition(Transition("c", previous, current, current.last_heartbeat, 3_300, 3_400), "n1")


def a_detection() -> Detection:
    rules = read_rules(None)
    return Detection(Engine(rules), rules, Kept({}), 0, 15_000)


def told(*found: Signal) -> list[Alert]:
    detection = a_detection()
    return [alert for signal in found for alert in detection.signal(signal)]


@pytest.mark.parametrize(
    ("previous", "current", "since"),
    [
        (None, ONLINE, None),
        (ONLINE, MISSING, 100),
        (MISSING, GONE, 100),
        (MISSING, BACK, 100),
        (GONE, BACK, 100),
        (MISSING, GOODBYE, 100),
        (ONLINE, GOODBYE, 9_000),
        (GOODBYE, ONLINE._replace(last_heartbeat=10_000), 9_000),
    ],
)
def test_a_return_names_the_silence_that_it_ends(
    previous: ClientState | None, current: ClientState, since: int | None
) -> None:
    assert transition(previous, current).fields["silent_since"] == since


@pytest.mark.parametrize(
    ("previous", "current", "status"),
    [(None, ONLINE, []), (MISSING, BACK, ["resolved"]), (MISSING, GOODBYE, ["resolved"]), (GOODBYE, BACK, [])],
)
def test_offline(previous: ClientState | None, current: ClientState, status: list[str]) -> None:
    before = [transition(ONLINE, previous)] if previous else []
    offline = [alert for alert in told(*before, transition(previous, current)) if alert.rule == "offline"]
    fired = ["firing"] if previous is MISSING else []
    assert [alert.status for alert in offline] == fired + status
    assert {alert.alert_id for alert in offline} <= {alert_id("offline", "c", 100)}


def test_the_evidence_of_an_offline_alert() -> None:
    [firing] = told(transition(ONLINE, MISSING))
    assert (firing.client_id, firing.node_id, firing.severity) == ("c", "n1", "medium")
    wanted = {"last_heartbeat": 100, "interval_ms": 1_000, "deadline": 3_300, "watermark": 3_400, "state": "offline"}
    assert firing.evidence.items() >= wanted.items()


@pytest.mark.parametrize(
    ("severity", "raised"), [("info", False), ("low", False), ("medium", False), ("high", True), ("critical", True)]
)
def test_high_severity(severity: str, raised: bool) -> None:
    one = event("c", event_id="e", severity=severity, origin="client")
    found = [alert for alert in told(sources.of_event(one, None)) if alert.rule == "high_severity"]
    assert [(alert.alert_id, alert.severity) for alert in found] == [
        (alert_id("high_severity", "c", "e"), severity)
    ] * raised
    if raised:
        assert found[0].evidence["event_ids"] == ["e"]


def test_brute_force_keeps_its_id_and_evidence() -> None:
    failures = [
        event("c", event_id=f"e{at}", event_type="authentication_failure", timestamp=at, origin="client")
        for at in (4_000, 1_000, 2_000, 3_000, 5_000, 6_000)
    ]
    [alert] = [alert for alert in told(*(sources.of_event(each, None) for each in failures)) if alert.rule == "brute_force"]
    assert alert.alert_id == alert_id("brute_force", "c", "e1000")
    assert alert.evidence["event_ids"] == ["e1000", "e2000", "e3000", "e4000", "e5000"]
    assert (alert.evidence["first"], alert.evidence["last"], alert.evidence["window_ms"]) == (1_000, 5_000, 60_000)


def test_identities() -> None:
    request = registration("c", key_id="b", request_id="r")
    [conflict] = told(sources.of_conflict(CLIENT, request), sources.of_conflict(CLIENT, request | {"request_id": "s"}))
    assert conflict.alert_id == alert_id("identity_conflict", "c", "b")
    assert (conflict.evidence["refused_key_id"], conflict.evidence["key_id"]) == ("b", "a")
    [clone] = told(sources.of_clone(heartbeat("c"), Boots(5.0, 5.0), Boots(1.0, 1.0, 2, 77), None))
    assert clone.alert_id == alert_id("identity_clone", "c", 77)


def all_signals() -> list[Signal]:
    return [
        sources.of_event(event("c", severity="high", description="DESCRIPTION", signed_bytes=b"SIGNED"), None),
        sources.of_conflict(CLIENT, registration("c", device_info="DESCRIPTION")),
        sources.of_clone(heartbeat("c", sealed="DESCRIPTION"), Boots(5.0, 5.0), Boots(1.0, 1.0, 2, 77), None),
        sources.of_heartbeat(heartbeat("c", sealed="DESCRIPTION", skew_ms=5), None),
        sources.of_rejection(rejection("c"), None),
        sources.of_audit(audit("s", details='"DESCRIPTION"')),
        sources.of_blind_span(BlindSpan(1, 2), 3),
        transition(ONLINE, MISSING),
    ]


def test_a_signal_is_read_back_as_it_was_and_shows_no_content() -> None:
    assert {signal.source for signal in all_signals()} == set(signals.SOURCES)
    for signal in all_signals():
        record = codec.decode_as("signal", codec.encode("signal", signals.to_record(signal)))
        assert signals.from_record(record) == signal
        assert not {"DESCRIPTION", "SIGNED"} & set(json.dumps(record).split('"'))


def test_the_same_cause_has_the_same_id_and_another_has_another() -> None:
    one = [signal.signal_id for signal in all_signals()]
    assert len(set(one)) == len(one)
    sent = event("c")
    assert sources.of_event(sent, None).signal_id == sources.of_event(sent, "n").signal_id


def test_an_alert_shows_no_content_and_fits_its_schema() -> None:
    found = told(*all_signals())
    assert {alert.status for alert in found} == {Status.FIRING, Status.RESOLVED}
    for alert in found:
        record = alerts.to_record(alert, 5)
        assert codec.decode_as("alert", codec.encode("alert", record)).items() >= record.items()
        assert not {"DESCRIPTION", "SIGNED"} & set(json.dumps(record).split('"'))
        headers = dict(alerts.cloud_event_headers(alert))
        assert headers["ce_specversion"] == b"1.0"
        assert ("ce_subject" in headers) == bool(alert.client_id)


class Fleet:
    """All partitions, seen at the same time."""

    def __init__(self) -> None:
        self.detection = a_detection()
        self.table: dict[bytes, bytes] = {}

    def tick(self, watermark_ms: int, steady_ms: int, *partitions: int) -> list[Alert]:
        numbers = partitions or range(HEARTBEATS.partitions)
        return [a for n in numbers for a in self.detection.tick(watermark_name(n), watermark_ms, steady_ms)]

    def spans(self, start: int, end: int) -> list[Alert]:
        found = [sources.of_blind_span(BlindSpan(start + n, end + n), n) for n in range(HEARTBEATS.partitions)]
        return [alert for signal in found for alert in self.detection.signal(signal)]

    def restart(self, steady_ms: int) -> list[Alert]:
        self.table |= {key: value for key, value in self.detection.desk_changes().items() if value is not None}
        rules = read_rules(None)
        self.detection = Detection(Engine(rules), rules, Kept(self.table), steady_ms, 15_000)
        return self.detection.resume()


def test_the_clock_waits_for_all_partitions_and_never_goes_back() -> None:
    fleet = Fleet()
    fleet.tick(50_000, 0, 0, 1, 2, 3, 4, 5, 6)
    assert fleet.detection.clock_ms is None
    assert fleet.detection.standstill(99_000) == []
    fleet.tick(40_000, 0, 7)
    assert fleet.detection.clock_ms == 40_000
    fleet.tick(30_000, 0)
    assert fleet.detection.clock_ms == 40_000
    fleet.detection.tick("partition-99", 1, 0)
    fleet.detection.tick("edge-1", 99_000, 0)
    assert fleet.detection.clock_ms == 40_000


def test_an_outage_is_one_incident_that_fires_while_it_lasts() -> None:
    fleet = Fleet()
    fleet.tick(100_000, 0)
    assert fleet.detection.standstill(15_000) == []
    [firing] = fleet.detection.standstill(15_001)
    assert (firing.status, firing.alert_id, firing.timestamp) == ("firing", alert_id("ingest_blind", 100_000), 100_000)
    assert fleet.detection.standstill(300_000) == []
    # A restart tells it again, word for word: nobody knows whether it was told.
    assert fleet.restart(0) == [firing]
    assert fleet.detection.standstill(60_000) == []
    assert fleet.spans(100_000, 400_000) == []
    # What had come in when it began, and was taken up only after the restart.
    assert fleet.tick(100_400, 60_000) == []
    [resolved] = fleet.tick(400_000, 61_000)
    assert (resolved.status, resolved.alert_id, resolved.evidence) == (
        "resolved", firing.alert_id, {"start": 100_000, "end": 400_000},
    )  # fmt: skip
    # A partition that reports late, or again.
    assert fleet.spans(100_000, 400_000) == []
    assert fleet.restart(62_000) == []
    assert fleet.spans(100_000, 400_000) == []
    # The next one is another.
    assert [alert.status for alert in fleet.spans(500_000, 510_000)] == ["firing", "resolved"]


def test_a_restart_in_an_outage_that_nobody_has_noticed_yet_does_not_lose_it() -> None:
    fleet = Fleet()
    fleet.tick(100_000, 0)
    fleet.restart(14_000)
    assert fleet.detection.standstill(29_000) == []
    assert [alert.timestamp for alert in fleet.detection.standstill(29_001)] == [100_000]


def silencing(**arguments: Any) -> dict[str, Any]:
    return {
        "request_id": "r", "subject": "s", "action": "alert.silence", "actor": "ann", "edge": "e", "timestamp": 1,
        "received_at": 100_400, "body": json.dumps({"duration_ms": 1_000_000, **arguments}),
    }  # fmt: skip


def test_an_outage_is_silenced_as_a_whole_or_not_at_all() -> None:
    fleet = Fleet()
    fleet.tick(100_000, 0)
    [firing] = fleet.detection.standstill(20_000)
    fleet.detection.order(silencing(rule="ingest_blind"), 5)
    [resolved] = fleet.tick(400_000, 61_000)
    assert (firing.suppressed_by, resolved.suppressed_by) == (None, None)
    kept_back = fleet.spans(500_000, 600_000)
    assert [(each.status, each.suppressed_by) for each in kept_back] == [
        ("suppressed", "silence:s"), ("resolved", "silence:s"),
    ]  # fmt: skip
