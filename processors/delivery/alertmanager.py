"""What Alertmanager gets: ``POST /api/v2/alerts``.

Source: https://github.com/prometheus/alertmanager/blob/main/api/v2/openapi.yaml (postableAlerts). Alertmanager knows an
alert by all its labels and takes one that is not sent again as resolved at its ``endsAt``: so each firing alert keeps the
labels and the start that it had first, and is sent again in time.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from typing import Any, NamedTuple

from processors.delivery.alert import RESOLVED, Alert
from processors.delivery.receivers import Filters

LASTS_MS = 5 * 60_000
"""How long a firing alert outlives its sender."""

MOST_FIRING = 20_000
_VALUE_CHARACTERS = 4_096


class Firing(NamedTuple):
    """An alert that fires: what it was first, which gives it its labels and its start, and what was said of it last."""

    first: Alert
    last: Alert


class FiringBook:
    """The alerts of a receiver that fire, at most ``most``: of more, the one silent for longest is not sent again."""

    def __init__(self, filters: Filters, most: int = MOST_FIRING) -> None:
        self._filters = filters
        self._most = most
        self._firing: dict[str, Firing] = {}

    def __len__(self) -> int:
        return len(self._firing)

    def concerns(self, alert: Alert) -> bool:
        """Whether the receiver is to hear of it: also what the filters would leave out, once it heard of the alert."""
        return not alert.kept_back and (alert.alert_id in self._firing or self._filters.passes(alert))

    def note(self, alert: Alert) -> Firing:
        """What an alert has been and is now. An end stays noted, and is not sent again, until it is settled."""
        before = self._firing.pop(alert.alert_id, None)
        firing = self._firing[alert.alert_id] = Firing(before.first if before else alert, alert)
        if len(self._firing) > self._most:
            del self._firing[next(iter(self._firing))]
        return firing

    def settle(self, alert: Alert) -> None:
        """Forget an alert that ended, or of which nobody is to be told any more."""
        if _is_over(alert):
            self._firing.pop(alert.alert_id, None)

    def restore(self, alert: Alert) -> None:
        """Note what the receiver was told before a restart."""
        if self.concerns(alert):
            self.note(alert)
        self.settle(alert)

    def clear(self) -> None:
        """Forget all."""
        self._firing.clear()

    def chunks(self, size: int) -> Iterable[list[str]]:
        """The ids of all that is noted now, in groups."""
        ids = list(self._firing)
        return (ids[start : start + size] for start in range(0, len(ids), size))

    def still(self, ids: Iterable[str]) -> list[Firing]:
        """Those of them that fire."""
        found = [self._firing[alert_id] for alert_id in ids if alert_id in self._firing]
        return [firing for firing in found if not _is_over(firing.last)]


def _is_over(alert: Alert) -> bool:
    return alert.status == RESOLVED or alert.kept_back


def postable(firing: Firing, now_ms: int, generator_url: str | None = None) -> dict[str, Any]:
    """One ``postableAlert``."""
    first, last = firing
    ends_ms = max(last.timestamp, first.timestamp) if last.status == RESOLVED else now_ms + LASTS_MS
    return {
        "labels": _labels(first),
        "annotations": _annotations(last),
        "startsAt": _time(first.timestamp),
        "endsAt": _time(ends_ms),
        **({"generatorURL": generator_url} if generator_url else {}),
    }


def _labels(alert: Alert) -> dict[str, str]:
    labels = {
        "alertname": alert.rule,
        "severity": alert.severity,
        "client_id": alert.client_id,
        "node_id": alert.node_id or "",
        "alert_id": alert.alert_id,
    }
    return _texts(labels)


def _annotations(alert: Alert) -> dict[str, str]:
    annotations = {
        "summary": alert.summary,
        "status": alert.status,
        "acknowledged_by": alert.actor or "",
        "group": json.dumps(alert.group, separators=(",", ":")) if alert.group else "",
        "evidence": json.dumps(alert.evidence, separators=(",", ":")),
    }
    return _texts(annotations)


def _texts(values: Mapping[str, str]) -> dict[str, str]:
    """Alertmanager takes an empty value for none."""
    return {name: text[:_VALUE_CHARACTERS] for name, text in values.items() if text}


def _time(milliseconds: int) -> str:
    return datetime.fromtimestamp(milliseconds / 1000, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
