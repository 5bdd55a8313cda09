"""The life of a finding: the time of ``for``, its beginning, its end, and how long it is remembered.

All times are of signals or of the clock of the signals' order, never of a machine.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from processors.alerting.findings import Change, Finding
from processors.alerting.signals import HEARTBEATS
from processors.rules.groups import MAX_FOUND, Found, Group, Key, Stage
from processors.rules.language import Kind
from processors.rules.model import Rule
from schemas.topics import DAY_MS

# As long as the topic keeps signals: so long one may come again.
REMEMBERED_MS = DAY_MS
# A level that lasts is told of once a minute, or with the next heartbeat, and those are 300 s apart at most.
HEARTBEAT_SLACK_MS = 360_000


class Candidate(NamedTuple):
    """What a rule sees just now: ``first`` to ``last`` (ms) of the signals, ``begins`` what the finding is dated."""

    key: Key
    first: int
    last: int
    begins: int
    severity: str
    client_id: str
    node_id: str | None
    summary: str
    evidence: Mapping[str, Any]


def stand(group: Group, candidate: Candidate, clock_ms: int) -> list[Finding]:
    """A new finding: it begins, or its time of ``for`` does. One whose key is known begins nothing."""
    if candidate.key in group.found:
        return []
    rule = group.rule
    found = Found(
        candidate.key,
        Stage.PENDING,
        since=candidate.begins,
        first=candidate.first,
        last=candidate.last,
        due=candidate.begins + rule.for_ms,
        severity=candidate.severity,
        client_id=candidate.client_id,
        node_id=candidate.node_id,
        summary=candidate.summary,
        evidence=dict(candidate.evidence),
    )
    ended = _make_room(group, clock_ms)
    group.put(found)
    return ended if rule.for_ms or rule.kind is Kind.ABSENCE else [*ended, *begin(group, found, found.since, clock_ms)]


def begin(group: Group, found: Found, timestamp: int, clock_ms: int) -> list[Finding]:
    """A pending finding begins."""
    begun = _finding(group, found, Change.BEGINS, timestamp, found.summary, found.evidence)
    found.stage = Stage.STANDING
    found.summary, found.evidence = "", {}
    found.due = _end_ms(group.rule, found, clock_ms)
    group.put(found)
    return [begun, *end(group, found, found.last, clock_ms)] if group.rule.resolve_after_ms == 0 else [begun]


def extend(group: Group, found: Found, timestamp: int, clock_ms: int) -> list[Finding]:
    """Its condition holds at ``timestamp`` too. A pending one may begin by that.

    What is not newer keeps it standing no longer: it may be here for the second time.
    """
    if timestamp <= found.last:
        if timestamp < found.first:
            found.first = timestamp
            group.put(found)
        return []
    found.last, rule = timestamp, group.rule
    if found.stage is Stage.STANDING:
        later = _end_ms(rule, found, clock_ms)
        found.due = later if found.due is None or later is None else max(found.due, later)
    group.put(found)
    ripe_ms = found.since + rule.for_ms
    if found.stage is Stage.PENDING and max(found.last, clock_ms) >= ripe_ms and _was_seen_to_last(rule, found):
        return begin(group, found, ripe_ms, clock_ms)
    return []


def end(
    group: Group, found: Found, timestamp: int, clock_ms: int, evidence: Mapping[str, Any] | None = None
) -> list[Finding]:
    """It is over: an end where it had begun, and it is remembered, so that its signals begin it no more."""
    had_begun = found.stage is Stage.STANDING
    found.stage, found.due = Stage.OVER, clock_ms + REMEMBERED_MS
    found.summary, found.evidence = "", {}
    group.put(found)
    if group.rule.clear is not None:
        group.release_all(max(timestamp, clock_ms) + 2 * group.rule.correlation.timespan_ms)
    if not had_begun:
        return []
    told = {"since": found.since, **({"quiet_since": found.last} if evidence is None else evidence)}
    return [_finding(group, found, Change.ENDS, timestamp, f"Over: {group.rule.title}", told)]


def clear(
    group: Group, found: Found, timestamp: int, clock_ms: int, evidence: Mapping[str, Any] | None = None
) -> list[Finding]:
    """A signal says that it is over. What is older belongs to it, so that it begins nothing when it comes again."""
    found.last = max(found.last, timestamp)
    return end(group, found, timestamp, clock_ms, evidence or {})


def fall_due(group: Group, found: Found, clock_ms: int) -> list[Finding]:
    """The clock has reached ``due``."""
    due = found.due or 0
    if found.stage is Stage.PENDING:
        return _ripen(group, found, clock_ms)
    if found.stage is Stage.STANDING:
        return end(group, found, due, clock_ms)
    group.drop(found)
    return []


def _ripen(group: Group, found: Found, clock_ms: int) -> list[Finding]:
    """A pending finding begins where its condition was seen to hold until now; else it waits for one more sign, or ends."""
    rule = group.rule
    if rule.kind is Kind.ABSENCE:
        return begin(group, found, found.due or found.since, clock_ms)
    if _was_seen_to_last(rule, found):
        return begin(group, found, found.since + rule.for_ms, clock_ms)
    found.due = found.last + (_slack_ms(rule) or 0)
    group.put(found)
    if found.due <= clock_ms:
        group.drop(found)
    return []


def _was_seen_to_last(rule: Rule, found: Found) -> bool:
    slack_ms = _slack_ms(rule)
    return slack_ms is None or (found.last > found.since and found.last >= found.since + rule.for_ms - slack_ms)


def _slack_ms(rule: Rule) -> int | None:
    """How long before the end of ``for`` the last sign may be; None where the condition holds until a signal ends it."""
    if rule.kind is not Kind.MATCH:
        return None if rule.clear else rule.correlation.timespan_ms
    return HEARTBEAT_SLACK_MS if rule.source == HEARTBEATS else None


def _end_ms(rule: Rule, found: Found, clock_ms: int) -> int | None:
    if rule.resolve_after_ms is None:
        return None
    return max(found.last, clock_ms) + rule.resolve_after_ms


def _make_room(group: Group, clock_ms: int) -> list[Finding]:
    """At most so many findings a group: the oldest goes, first of those that are over."""
    if len(group.found) < MAX_FOUND:
        return []
    oldest = [*group.at(Stage.OVER), *group.live()][0]
    ended = close(group, oldest, clock_ms, "too many")
    group.drop(oldest)
    return ended


def close(group: Group, found: Found, clock_ms: int, reason: str) -> list[Finding]:
    """It ends because nobody will look at it any more."""
    if found.stage is not Stage.STANDING:
        return []
    evidence = {"since": found.since, "reason": reason}
    at = max(found.last, clock_ms)
    return [_finding(group, found, Change.ENDS, at, f"No longer watched: {group.rule.title}", evidence)]


def _finding(
    group: Group, found: Found, change: Change, timestamp: int, summary: str, evidence: Mapping[str, Any]
) -> Finding:
    return Finding(
        rule=group.rule.id,
        change=change,
        key=found.key,
        severity=found.severity,
        client_id=found.client_id,
        node_id=found.node_id,
        group=dict(zip(group.rule.correlation.group_by, group.values, strict=False)),
        timestamp=timestamp,
        summary=summary,
        evidence=evidence,
    )
