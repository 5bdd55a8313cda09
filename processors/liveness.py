"""The liveness of one client: a pure state machine, (state, heartbeat or the clock) → (state, transition).

| state | silence leads to | at |
|---|---|---|
| online | late (no alarm) | last heartbeat + 2 intervals + grace |
| late, error | offline, ``missed_heartbeats`` | last heartbeat + 3 intervals + grace |
| maintenance | nothing until it expires, ``maintenance_expired``, then as in error | since + ``maintenance_ms`` |
| offline | gone, ``stale`` | last heartbeat + ``gone_ms`` |

A heartbeat leads to the state that it reports, whatever the state was. A client that is registered and never came goes from
nothing to offline, ``never_came``. The clock is the watermark (``processors.watermark``), never a machine's.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from schemas.heartbeat_value import Terms

LATE_AFTER, OFFLINE_AFTER = 2, 3
"""Intervals without a heartbeat."""
# Two heartbeats no further apart than so many intervals show that the client knows the interval.
_KEPT_WITHIN = 2
# Between two heartbeats the uptime rises by the time between them, but for the delays of the two.
_UPTIME_TOLERANCE_MS = 60_000

ONLINE, LATE, OFFLINE, MAINTENANCE, ERROR, GONE = "online", "late", "offline", "maintenance", "error", "gone"
STATES = (ONLINE, LATE, OFFLINE, MAINTENANCE, ERROR, GONE)
HEARTBEAT, REPORTED = "heartbeat", "reported"
OVERDUE, MISSED, NEVER_CAME, EXPIRED, STALE = "late", "missed_heartbeats", "never_came", "maintenance_expired", "stale"
VERDICTS = frozenset({OVERDUE, MISSED, NEVER_CAME, EXPIRED, STALE})
"""Reasons that the clock gives; the others a heartbeat gives."""

_TERMS = Terms(0)


class Heartbeat(NamedTuple):
    """What liveness takes from a heartbeat.

    ``timestamp`` is by the client's clock, ``received_at`` by the edge's, in ms; ``uptime`` in s. The rest are the terms of
    the policy that was in force when the edge accepted it.
    """

    client_id: str
    timestamp: int
    status: str
    interval_ms: int
    received_at: int
    uptime: float | None = None
    maintenance_ms: int = _TERMS.maintenance_ms
    gone_ms: int = _TERMS.gone_ms


class ClientState(NamedTuple):
    """What is known of a client.

    ``last_heartbeat`` is when the edge accepted the newest heartbeat, ``heartbeat_timestamp`` its time by the client and
    ``uptime`` what it said in s (None for unknown). ``since`` is when the client came into the state. Times in ms.
    """

    state: str
    reason: str
    last_heartbeat: int
    heartbeat_timestamp: int
    interval_ms: int
    since: int
    maintenance_ms: int = _TERMS.maintenance_ms
    gone_ms: int = _TERMS.gone_ms
    uptime: float | None = None


class Transition(NamedTuple):
    """A change that is persisted. ``previous`` is None for a client that was never seen before."""

    client_id: str
    previous: ClientState | None
    current: ClientState
    timestamp: int
    deadline: int
    watermark: int


def offline_at_ms(state: ClientState, floor_ms: int, grace_ms: int) -> int:
    """The deadline of a client. ``floor_ms`` is the end of the last blind span: nobody is blamed for it."""
    return max(state.last_heartbeat, floor_ms) + OFFLINE_AFTER * state.interval_ms + grace_ms


def due_ms(state: ClientState, floor_ms: int, grace_ms: int) -> int | None:
    """When the clock changes the state unless a heartbeat comes; None for never."""
    if state.state == ONLINE:
        return max(state.last_heartbeat, floor_ms) + LATE_AFTER * state.interval_ms + grace_ms
    if state.state == OFFLINE:
        return state.last_heartbeat + state.gone_ms
    if state.state == GONE:
        return None
    if state.state == MAINTENANCE and state.reason != EXPIRED:
        return state.since + state.maintenance_ms
    return offline_at_ms(state, floor_ms, grace_ms)


def on_due(state: ClientState, at_ms: int) -> ClientState:
    """The state once the clock has reached ``due_ms``, which is ``at_ms``."""
    if state.state == ONLINE:
        return state._replace(state=LATE, reason=OVERDUE, since=at_ms)
    if state.state == OFFLINE:
        return state._replace(state=GONE, reason=STALE, since=at_ms)
    if state.state == MAINTENANCE and state.reason != EXPIRED:
        return state._replace(reason=EXPIRED)
    return state._replace(state=OFFLINE, reason=MISSED, since=at_ms)


def never_came(registered_at: int, at_ms: int) -> ClientState:
    """The state of a client that registered and has not come until ``at_ms``; any heartbeat is news to it."""
    return ClientState(OFFLINE, NEVER_CAME, registered_at, 0, 0, at_ms)


def on_heartbeat(state: ClientState | None, beat: Heartbeat, heard_ms: int) -> tuple[ClientState, bool]:
    """The new state, and whether the change is worth a transition. Of a duplicate the state is the same object.

    A change of the interval or the terms is one: after a restart nobody is to be judged by what no longer holds.

    What is no duplicate: a heartbeat that is newer by the client's clock, or an older one of a client whose clock was set
    back: its uptime is greater than the last one's, and by no more than the time that went by. So somebody who repeats
    recorded heartbeats, as they were or mixed, changes nothing: what he has of this boot has no greater uptime, and what he
    has of an earlier, longer one has a far greater. Where nothing bears that out (after a restart what is known may be some
    heartbeats old; both boots may be younger than a minute) the edge's freshness check bounds it: nothing older than 5
    minutes comes in at all.

    Args:
        heard_ms: when it came in, on the liveness clock.
    """
    if state is None:
        return _first(beat, heard_ms), True
    _, timestamp, status, interval_ms, _, uptime, maintenance_ms, gone_ms = beat
    if timestamp <= state.heartbeat_timestamp and not _clock_was_set_back(state, uptime, heard_ms):
        return state, False
    last = max(heard_ms, state.last_heartbeat)
    if interval_ms < state.interval_ms:
        interval_ms = _acknowledged_interval_ms(state, beat, heard_ms)
    reason, since = state.reason, state.since
    if status != state.state:
        reason, since = _reason(status), last
    elif status == OFFLINE:
        reason = REPORTED
    new = ClientState(status, reason, last, timestamp, interval_ms, since, maintenance_ms, gone_ms, uptime)
    changed = (
        status != state.state
        or reason != state.reason
        or interval_ms != state.interval_ms
        or maintenance_ms != state.maintenance_ms
        or gone_ms != state.gone_ms
    )
    return new, changed


def _first(beat: Heartbeat, heard_ms: int) -> ClientState:
    return ClientState(
        beat.status,
        _reason(beat.status),
        heard_ms,
        beat.timestamp,
        beat.interval_ms,
        heard_ms,
        beat.maintenance_ms,
        beat.gone_ms,
        beat.uptime,
    )


def _reason(status: str) -> str:
    return HEARTBEAT if status == ONLINE else REPORTED


def _clock_was_set_back(state: ClientState, uptime: float | None, heard_ms: int) -> bool:
    # One that came in before the last is read again after a restart: what it led to is known.
    if uptime is None or state.uptime is None or heard_ms < state.last_heartbeat:
        return False
    longest_ms = heard_ms - state.last_heartbeat + _UPTIME_TOLERANCE_MS
    return 0 < (uptime - state.uptime) * 1000 <= longest_ms


def _acknowledged_interval_ms(state: ClientState, beat: Heartbeat, heard_ms: int) -> int:
    """A shorter interval counts once the client keeps it: until then its silence is judged by the longer one.

    By both clocks: two that were sent far apart may come in together, where the first was delayed, or where it is read
    again after a restart.
    """
    within = _KEPT_WITHIN * beat.interval_ms
    kept = heard_ms - state.last_heartbeat <= within and abs(beat.timestamp - state.heartbeat_timestamp) <= within
    return beat.interval_ms if kept else state.interval_ms


def to_record(transition: Transition) -> dict[str, Any]:
    """A ``liveness`` record."""
    current, previous = transition.current, transition.previous
    return {
        "client_id": transition.client_id,
        "state": current.state,
        "previous_state": previous.state if previous else None,
        "reason": current.reason,
        "timestamp": transition.timestamp,
        "last_heartbeat": current.last_heartbeat,
        "interval_ms": current.interval_ms,
        "deadline": transition.deadline,
        "watermark": transition.watermark,
        "heartbeat_timestamp": current.heartbeat_timestamp,
        "since": current.since,
        "maintenance_ms": current.maintenance_ms,
        "gone_ms": current.gone_ms,
        "uptime": current.uptime,
    }


def from_record(record: Mapping[str, Any]) -> Transition:
    """The transition that a ``liveness`` record tells of; of the previous state it keeps only the name."""
    current = ClientState(
        record["state"],
        record["reason"],
        record["last_heartbeat"],
        record["heartbeat_timestamp"],
        record["interval_ms"],
        record["timestamp"] if record["since"] is None else record["since"],
        record["maintenance_ms"],
        record["gone_ms"],
        record["uptime"],
    )
    previous = None if record["previous_state"] is None else current._replace(state=record["previous_state"])
    return Transition(record["client_id"], previous, current, record["timestamp"], record["deadline"], record["watermark"])
