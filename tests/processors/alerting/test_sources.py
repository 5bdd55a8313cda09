"""Which alerts follow from what, without Kafka."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from processors import alerts, brute_force, direct_alerts
from processors.alerts import Alert
from processors.brute_force import Failures, Threshold
from processors.liveness import ClientState, Transition
from processors.watermark import BlindSpan
from schemas import codec
from tests.processors.samples import event, registration

THRESHOLD = Threshold(failures=3, window_ms=1_000)

ONLINE = ClientState("online", "heartbeat", 100, 90, 1_000)
MISSING = ONLINE._replace(state="offline", reason="missed_heartbeats")
GOODBYE = ONLINE._replace(state="offline", reason="reported", last_heartbeat=9_000)
BACK = ONLINE._replace(last_heartbeat=9_000)


def transition(previous: ClientState | None, current: ClientState) -> Transition:
    return Transition("c", previous, current, 3_300, 3_300, 3_400)


@pytest.mark.parametrize(
    ("previous", "current", "status"),
    [
        (None, ONLINE, None),
        (ONLINE, MISSING, "firing"),
        (ONLINE, GOODBYE, None),
        (MISSING, BACK, "resolved"),
        (MISSING, GOODBYE, "resolved"),
        (GOODBYE, BACK, None),
    ],
)
def test_offline(previous: ClientState | None, current: ClientState, status: str | None) -> None:
    alert = direct_alerts.offline(transition(previous, current))
    assert (alert and alert.status) == status


def test_the_resolved_alert_is_the_one_that_fired() -> None:
    firing, resolved = direct_alerts.offline(transition(ONLINE, MISSING)), direct_alerts.offline(transition(MISSING, BACK))
    assert firing
    assert resolved
    assert firing.alert_id == resolved.alert_id
    assert firing.evidence == {
        "last_heartbeat": 100, "interval_ms": 1_000, "deadline": 3_300, "watermark": 3_400, "state": "offline",
    }  # fmt: skip
    later = direct_alerts.offline(transition(BACK, MISSING._replace(last_heartbeat=9_000)))
    assert later
    assert later.alert_id != firing.alert_id


def test_a_blind_span_is_one_incident_that_is_over() -> None:
    firing, resolved = direct_alerts.ingest_blind(BlindSpan(1_000, 9_000))
    assert (firing.alert_id, firing.client_id) == (resolved.alert_id, "")
    assert (firing.status, firing.timestamp, resolved.status, resolved.timestamp) == ("firing", 1_000, "resolved", 9_000)
    assert direct_alerts.ingest_blind(BlindSpan(1_000, 9_000))[0].alert_id == firing.alert_id


@pytest.mark.parametrize(
    ("severity", "raised"), [("info", False), ("low", False), ("medium", False), ("high", True), ("critical", True)]
)
def test_high_severity(severity: str, raised: bool) -> None:
    one = event("c", event_id="e", severity=severity)
    alert = direct_alerts.high_severity(one)
    assert (alert is not None) == raised
    if alert:
        assert alert == direct_alerts.high_severity(one)
        assert alert.severity == severity


def test_an_alert_shows_no_content_and_fits_its_schema() -> None:
    one = event("c", severity="high", description="DESCRIPTION", signed_bytes=b"SIGNED")
    found = [
        direct_alerts.high_severity(one),
        direct_alerts.identity_conflict({"key_id": "a", "key_epoch": 1}, registration("c", device_info="DESCRIPTION")),
        *direct_alerts.ingest_blind(BlindSpan(1, 2)),
        direct_alerts.offline(transition(ONLINE, MISSING)),
    ]
    for alert in found:
        assert alert
        record = alerts.to_record(alert, 5)
        assert codec.decode_as("alert", codec.encode("alert", record)).items() >= record.items()
        assert not {"DESCRIPTION", "SIGNED"} & set(json.dumps(record).split('"'))
        headers = dict(alerts.cloud_event_headers(alert))
        assert headers["ce_specversion"] == b"1.0"
        assert ("ce_subject" in headers) == bool(alert.client_id)


def failure(at: int, name: str | None = None, **changes: Any) -> dict[str, Any]:
    values = {"event_type": "authentication_failure", "timestamp": at, "event_id": name or f"e{at}", **changes}
    return event("c", **values)


def run(events: list[dict[str, Any]]) -> list[Alert]:
    failures, raised = Failures(), []
    for each in events:
        failures, alert = brute_force.observe(failures, each, THRESHOLD)
        failures = brute_force.load(brute_force.dump(failures))
        raised += [alert] if alert else []
    return raised


@pytest.mark.parametrize(
    ("times", "raised"),
    [
        ([0, 500], 0),
        ([0, 500, 1_000], 1),
        ([0, 500, 1_001], 0),
        ([0, 600, 1_200, 1_300], 1),
        # one alert a window, the next window has its own
        ([0, 100, 200, 300, 400, 900], 1),
        ([0, 100, 200, 5_000, 5_100, 5_200], 2),
        # spooled, and out of order
        ([1_000, 0, 500], 1),
        ([90_000, 90_100, 0, 100, 200], 1),
    ],
)
def test_brute_force(times: list[int], raised: int) -> None:
    assert len(run([failure(at) for at in times])) == raised


def test_brute_force_names_its_evidence_and_counts_an_event_once() -> None:
    alert = run([failure(0, "a"), failure(0, "a"), failure(1, "b"), failure(1, "b"), failure(2, "c")])
    assert len(alert) == 1
    assert alert[0].evidence["event_ids"] == ["a", "b", "c"]
    assert run([failure(0), failure(1), failure(2, event_type="system_error"), failure(3, event_type="system_error")]) == []


@given(st.lists(st.integers(0, 20_000), min_size=3, max_size=11, unique=True))
def test_brute_force_finds_a_full_window_in_any_order(times: list[int]) -> None:
    in_order = sorted(times)
    full = any(last - first <= THRESHOLD.window_ms for first, last in zip(in_order, in_order[2:], strict=False))
    assert bool(run([failure(at) for at in times])) == full
