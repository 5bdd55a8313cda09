"""The rule ``brute_force``: N authentication failures of one client within a window. Pure.

It goes by the events' own times and in any order, so that failures which a client spooled while it was offline count like
those that came at once.
"""

from __future__ import annotations

import bisect
import json
from collections.abc import Mapping
from typing import Any, NamedTuple

from processors.alerts import Alert, Status, alert_id

RULE = "brute_force"
EVENT_TYPE = "authentication_failure"

_KEPT_FIRED = 32


class Threshold(NamedTuple):
    """``failures`` of them within ``window_ms`` (both ends included)."""

    failures: int
    window_ms: int


class Failures(NamedTuple):
    """A client's newest failures as (time in ms, event id), sorted, and the starts of the windows that raised an alert."""

    events: tuple[tuple[int, str], ...] = ()
    fired: tuple[int, ...] = ()


def observe(failures: Failures, event: Mapping[str, Any], threshold: Threshold) -> tuple[Failures, Alert | None]:
    """Take an ``event`` record into account. An event that is known already, or of another type, changes nothing.

    One alert a window: while an alert's window lasts, further failures raise none.
    """
    entry = (int(event["timestamp"]), str(event["event_id"]))
    if event["event_type"] != EVENT_TYPE or any(known == entry[1] for _, known in failures.events):
        return failures, None
    events = list(failures.events)
    bisect.insort(events, entry)
    window = _full_window(events, events.index(entry), threshold)
    events = events[-4 * threshold.failures :]
    if not window or any(abs(window[0][0] - start) <= threshold.window_ms for start in failures.fired):
        return failures._replace(events=tuple(events)), None
    fired = (*failures.fired, window[0][0])[-_KEPT_FIRED:]
    return Failures(tuple(events), fired), _alert(event, window, threshold)


def _full_window(events: list[tuple[int, str]], at: int, threshold: Threshold) -> list[tuple[int, str]]:
    """The earliest run of ``count`` events that holds the one at ``at`` and fits the window; empty where there is none."""
    for start in range(max(0, at - threshold.failures + 1), at + 1):
        run = events[start : start + threshold.failures]
        if len(run) == threshold.failures and run[-1][0] - run[0][0] <= threshold.window_ms:
            return run
    return []


def _alert(event: Mapping[str, Any], window: list[tuple[int, str]], threshold: Threshold) -> Alert:
    return Alert(
        alert_id=alert_id(RULE, event["client_id"], window[0][1]),
        rule=RULE,
        severity="high",
        status=Status.FIRING,
        client_id=event["client_id"],
        timestamp=window[-1][0],
        summary=f"{threshold.failures} authentication failures within {threshold.window_ms / 1000:g} s",
        evidence={
            "event_ids": [event_id for _, event_id in window],
            "first": window[0][0],
            "last": window[-1][0],
            "window_ms": threshold.window_ms,
        },
    )


def dump(failures: Failures) -> bytes:
    """For the table."""
    return json.dumps(failures, separators=(",", ":")).encode()


def load(value: bytes | None) -> Failures:
    """From the table; None for a client without failures."""
    if value is None:
        return Failures()
    events, fired = json.loads(value)
    return Failures(tuple((int(at), str(event_id)) for at, event_id in events), tuple(fired))
