"""The liveness of one client: a pure state machine, (state, heartbeat or deadline) → (state, transition).

Three missed heartbeats make a client offline: ``deadline = last heartbeat + 3 intervals + grace``, reached by the watermark
(``processors.watermark``), never by a machine's clock.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

MISSED_HEARTBEATS = 3
# Two heartbeats no further apart than so many intervals show that the client knows the interval.
_KEPT_WITHIN = 2

ONLINE, OFFLINE, MAINTENANCE, ERROR = "online", "offline", "maintenance", "error"
HEARTBEAT, MISSED, REPORTED = "heartbeat", "missed_heartbeats", "reported"


class Heartbeat(NamedTuple):
    """What liveness takes from a heartbeat. ``timestamp`` is by the client's clock, ``received_at`` by the edge's, in ms."""

    client_id: str
    timestamp: int
    status: str
    interval_ms: int
    received_at: int


class ClientState(NamedTuple):
    """``last_heartbeat`` is when the edge accepted the newest heartbeat, ``heartbeat_timestamp`` its time by the client."""

    state: str
    reason: str
    last_heartbeat: int
    heartbeat_timestamp: int
    interval_ms: int


class Transition(NamedTuple):
    """A change that is persisted. ``previous`` is None for a client that was never seen before."""

    client_id: str
    previous: ClientState | None
    current: ClientState
    timestamp: int
    deadline: int
    watermark: int


def deadline_ms(state: ClientState, floor_ms: int, grace_ms: int) -> int:
    """When the client counts as offline. ``floor_ms`` is the end of the last blind span: nobody is blamed for it."""
    return max(state.last_heartbeat, floor_ms) + MISSED_HEARTBEATS * state.interval_ms + grace_ms


def is_watched(state: ClientState) -> bool:
    """Whether silence leads to an offline verdict. One that reported ``offline`` or ``maintenance`` may be silent."""
    return state.state in (ONLINE, ERROR)


def is_missing(state: ClientState | None) -> bool:
    """Whether an offline alert stands for the client."""
    return state is not None and state.state == OFFLINE and state.reason == MISSED


def on_heartbeat(state: ClientState | None, beat: Heartbeat) -> tuple[ClientState | None, bool]:
    """The new state, and whether the change is worth a transition. A heartbeat not newer than the last changes nothing.

    A change of the interval is one: after a restart deadlines must not be counted by an interval that no longer holds.
    """
    if state is not None and beat.timestamp <= state.heartbeat_timestamp:
        return state, False
    reason = HEARTBEAT if beat.status == ONLINE else REPORTED
    received_at = beat.received_at if state is None else max(beat.received_at, state.last_heartbeat)
    new = ClientState(beat.status, reason, received_at, beat.timestamp, _acknowledged_interval_ms(state, beat))
    changed = state is None or (new.state, new.reason, new.interval_ms) != (state.state, state.reason, state.interval_ms)
    return new, changed


def _acknowledged_interval_ms(state: ClientState | None, beat: Heartbeat) -> int:
    """A shorter interval counts once the client keeps it: until then its silence is judged by the longer one."""
    if state is None or beat.interval_ms >= state.interval_ms:
        return beat.interval_ms
    kept = beat.received_at - state.last_heartbeat <= _KEPT_WITHIN * beat.interval_ms
    return beat.interval_ms if kept else state.interval_ms


def on_deadline(state: ClientState) -> ClientState:
    """The state of a client whose deadline the watermark has reached."""
    return state._replace(state=OFFLINE, reason=MISSED)


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
    }


def from_record(record: Mapping[str, Any]) -> Transition:
    """The transition that a ``liveness`` record tells of; of the previous state it keeps only the name."""
    current = ClientState(
        record["state"],
        record["reason"],
        record["last_heartbeat"],
        record["heartbeat_timestamp"],
        record["interval_ms"],
    )
    previous = None if record["previous_state"] is None else current._replace(state=record["previous_state"])
    return Transition(record["client_id"], previous, current, record["timestamp"], record["deadline"], record["watermark"])
