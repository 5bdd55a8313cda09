"""OCSF Detection Finding (class 2004) of an alert.

Source: https://schema.ocsf.io/1.8.0/classes/detection_finding, written against the repository ocsf/ocsf-schema.
``docs/delivery.md`` has the mapping as a table.
"""

from __future__ import annotations

from typing import Any

from processors.delivery.alert import ACKNOWLEDGED, FIRING, RESOLVED, Alert

VERSION = "1.8.0"
_CLASS, _CATEGORY = 2004, 2
_ACTIVITIES = {FIRING: (1, "Create"), ACKNOWLEDGED: (2, "Update"), RESOLVED: (3, "Close")}
_STATUSES = {FIRING: (1, "New"), ACKNOWLEDGED: (2, "In Progress"), RESOLVED: (4, "Resolved")}
_SEVERITIES = {
    "info": (1, "Informational"),
    "low": (2, "Low"),
    "medium": (3, "Medium"),
    "high": (4, "High"),
    "critical": (5, "Critical"),
}
_RULE, _AFFECTED, _UNKNOWN_DEVICE, _RESOURCE_UID = 1, 3, 0, 10


def detection_finding(alert: Alert, product_version: str) -> dict[str, Any]:
    """The finding, ready for JSON. Members without a value are left out."""
    activity_id, activity = _ACTIVITIES[alert.status]
    status_id, status = _STATUSES[alert.status]
    severity_id, severity = _SEVERITIES[alert.severity]
    return {
        "activity_id": activity_id,
        "activity_name": activity,
        "category_uid": _CATEGORY,
        "category_name": "Findings",
        "class_uid": _CLASS,
        "class_name": "Detection Finding",
        "type_uid": _CLASS * 100 + activity_id,
        "type_name": f"Detection Finding: {activity}",
        "time": alert.timestamp,
        "severity_id": severity_id,
        "severity": severity,
        "status_id": status_id,
        "status": status,
        "message": alert.summary,
        "is_alert": alert.status == FIRING,
        "metadata": _metadata(alert, product_version),
        "finding_info": _finding_info(alert),
        **({"evidences": [{"data": dict(alert.evidence)}]} if alert.evidence else {}),
        **_concerned(alert),
        **({"status_detail": f"acknowledged by {alert.actor}"} if alert.actor else {}),
        **({"unmapped": {"group": dict(alert.group)}} if alert.group else {}),
    }


def _metadata(alert: Alert, product_version: str) -> dict[str, Any]:
    return {
        "version": VERSION,
        "product": {"name": "ViWorkS ingest", "vendor_name": "ViWorkS", "version": product_version},
        "uid": alert.delivery_id,
        "correlation_uid": alert.alert_id,
        "event_code": alert.rule,
        "logged_time": alert.emitted_at,
    }


def _finding_info(alert: Alert) -> dict[str, Any]:
    """The times of the creation are known to the finding that creates; a later one says when it modified."""
    created = alert.status == FIRING
    return {
        "uid": alert.alert_id,
        "title": alert.summary,
        "types": [alert.rule],
        "analytic": {"type_id": _RULE, "type": "Rule", "name": alert.rule, "uid": alert.rule},
        **({"created_time": alert.emitted_at, "first_seen_time": alert.timestamp} if created else {}),
        **({} if created else {"modified_time": alert.emitted_at, "last_seen_time": alert.timestamp}),
    }


def _concerned(alert: Alert) -> dict[str, Any]:
    """Whom it is about: nothing for the whole fleet."""
    concerned = [(kind, uid) for kind, uid in (("client", alert.client_id), ("node", alert.node_id)) if uid]
    if not concerned:
        return {}
    resources = [
        {"uid": uid, "name": uid, "type": kind, "role_id": _AFFECTED, "role": "Affected"} for kind, uid in concerned
    ]
    observables = [
        {"name": f"resources[{number}].uid", "type_id": _RESOURCE_UID, "type": "Resource UID", "value": uid}
        for number, (_, uid) in enumerate(concerned)
    ]
    return {"resources": resources, "observables": observables, **_device(alert)}


def _device(alert: Alert) -> dict[str, Any]:
    if not alert.client_id:
        return {}
    device = {"type_id": _UNKNOWN_DEVICE, "type": "Unknown", "uid": alert.client_id, "name": alert.client_id}
    return {"device": device}
