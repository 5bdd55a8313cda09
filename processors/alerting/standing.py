"""An alert as the desk keeps it, and its JSON for the table. Pure."""

from __future__ import annotations

import json
from collections.abc import Mapping
from enum import StrEnum
from typing import Any, NamedTuple

from processors.alerting.findings import Finding
from processors.alerts import Alert, Status, alert_id

SAMPLE = 20


class Phase(StrEnum):
    """What has been done about a finding."""

    TOLD = "told"
    SUPPRESSED = "suppressed"
    MEMBER = "member"
    CLOSED = "closed"


class Standing(NamedTuple):
    """A finding that stands, or is over and remembered.

    Attributes:
        alert_id: under which it is told; another one than the finding's once it has been part of an incident.
        why: ``mute:RULE`` or ``silence:ID`` of a suppressed one; the finding id of a member's incident.
        request_id: of the order that acknowledged it; ``actor`` gave it.
        members: of an incident: how many belonged to it so far; ``sample`` names some of their clients.
        since: when it came into its phase, by the desk's clock.
    """

    alert_id: str
    rule: str
    key: tuple[str | int, ...]
    severity: str
    client_id: str
    node_id: str | None
    group: Mapping[str, str]
    timestamp: int
    summary: str
    evidence: Mapping[str, Any]
    phase: Phase
    since: int
    why: str | None = None
    request_id: str | None = None
    actor: str | None = None
    members: int = 0
    sample: tuple[str, ...] = ()

    def alert(self, status: Status, timestamp: int, **more: Any) -> Alert:
        """The record of a status; ``more`` is added to the evidence."""
        suppressed = self.phase is Phase.SUPPRESSED
        return Alert(
            alert_id=self.alert_id,
            rule=self.rule,
            severity=self.severity,
            status=status,
            client_id=self.client_id,
            timestamp=timestamp,
            summary=self.summary,
            evidence={**self.evidence, **more},
            node_id=self.node_id,
            group=self.group,
            suppressed_by=self.why if suppressed else None,
            actor=self.actor if status is Status.ACKNOWLEDGED else None,
        )

    def counted(self, client_id: str) -> Standing:
        """An incident with one member more."""
        sample = self.sample if not client_id or len(self.sample) >= SAMPLE else (*self.sample, client_id)
        return self._replace(members=self.members + 1, sample=sample)

    def belongs_to(self, incident_key: str, incident_alert_id: str, told: bool) -> Standing:
        """As a member of an incident. Where it was told of before, it gets another id for the time after the incident."""
        name = alert_id(self.rule, *self.key, incident_alert_id) if told else self.alert_id
        return self._replace(alert_id=name, phase=Phase.MEMBER, why=incident_key, request_id=None, actor=None)


def found(finding: Finding, clock_ms: int) -> Standing:
    """What to keep of a finding that begins; its phase is still to be decided."""
    return Standing(
        alert_id=alert_id(finding.rule, *finding.key),
        rule=finding.rule,
        key=tuple(finding.key),
        severity=finding.severity,
        client_id=finding.client_id,
        node_id=finding.node_id,
        group=dict(finding.group),
        timestamp=finding.timestamp,
        summary=finding.summary,
        evidence=dict(finding.evidence),
        phase=Phase.TOLD,
        since=clock_ms,
    )


def dump(standing: Standing) -> bytes:
    """For the table. Of one that is over only what is needed to know it again."""
    if standing.phase is Phase.CLOSED:
        members = {"phase": Phase.CLOSED, "since": standing.since, "timestamp": standing.timestamp}
        return json.dumps(members, separators=(",", ":")).encode()
    return json.dumps(standing._asdict(), separators=(",", ":")).encode()


def load(value: bytes) -> Standing:
    """From the table."""
    record = json.loads(value)
    record["phase"] = Phase(record["phase"])
    if record["phase"] is Phase.CLOSED:
        return closed(record["since"], record["timestamp"])
    return Standing(**{**record, "key": tuple(record["key"]), "sample": tuple(record["sample"])})


def closed(since_ms: int, ended_at: int) -> Standing:
    """One that is over since ``ended_at``; forgotten by ``since_ms`` of the desk's clock. It is not told again."""
    return Standing("", "", (), "", "", None, {}, ended_at, "", {}, Phase.CLOSED, since_ms)
