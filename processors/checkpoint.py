"""What outlives a worker beside the transitions: a partition's clock, and now and then when a client was last heard.

Both stand in one table, a client's under its id, a partition's clock under a key that no client id can be. Neither costs a
write for each heartbeat: the clock is written once for a batch that moved it, a client once in ``last_seen_every_ms``.
"""

from __future__ import annotations

import json
import struct
from typing import NamedTuple

from processors.liveness import HEARTBEAT, ONLINE, REPORTED, STATES, ClientState
from processors.watermark import PartitionClock

_LAST_SEEN = struct.Struct(">BBqqdqqqq")
_VERSION = 1


class Checkpoint(NamedTuple):
    """A partition's clock and what belongs to it; times in ms.

    Attributes:
        heard_ms: when the newest heartbeat came in, on the liveness clock.
        blind_until_ms: the end of the last blind span.
        offset: of the last record that was taken into account, and ``newest_ms`` the highest time of any.
    """

    clock: PartitionClock = PartitionClock()
    heard_ms: int = 0
    blind_until_ms: int = 0
    offset: int = -1
    newest_ms: int = 0

    def covers(self, offset: int, time_ms: int) -> bool:
        """Whether a record was taken into account before this was written, after all that the record led to.

        Read again, a tick may seem to come from an edge that has ended, and a heartbeat from before a reboot to be news. The
        time is looked at too, since a topic that was made anew counts its offsets from 0.
        """
        return offset <= self.offset and time_ms <= self.newest_ms


def clock_key(partition: int) -> bytes:
    """The key of a partition's checkpoint."""
    return b"\0clock-%d" % partition


def clock_partition(key: bytes) -> int | None:
    """The partition whose checkpoint has this key; None for a client's key."""
    return int(key[len(b"\0clock-") :]) if key.startswith(b"\0") else None


def clock_value(checkpoint: Checkpoint) -> bytes:
    """A checkpoint as the table keeps it."""
    clock, *rest = checkpoint
    members = {"watermark": clock.watermark_ms, "ticks": clock.ticks, "doubted": clock.doubted, "rest": rest}
    return json.dumps(members, separators=(",", ":")).encode()


def read_clock(value: bytes) -> Checkpoint:
    """The checkpoint of a value. Raises ValueError, KeyError for what is none."""
    members = json.loads(value)
    clock = PartitionClock(dict(members["ticks"]), members["watermark"], dict(members["doubted"]))
    return Checkpoint(clock, *members["rest"])


def last_seen_value(state: ClientState) -> bytes:
    """A client's state as the table keeps it, without the reason, which stands in its last transition."""
    return _LAST_SEEN.pack(
        _VERSION,
        STATES.index(state.state),
        state.last_heartbeat,
        state.heartbeat_timestamp,
        -1.0 if state.uptime is None else state.uptime,
        state.interval_ms,
        state.since,
        state.maintenance_ms,
        state.gone_ms,
    )


def read_last_seen(value: bytes) -> ClientState:
    """The state of a value, with an empty reason. Raises ValueError for what is none."""
    try:
        version, state, last, timestamp, uptime, interval_ms, since, maintenance_ms, gone_ms = _LAST_SEEN.unpack(value)
    except struct.error as error:
        raise ValueError("not a last-seen value") from error
    if version != _VERSION:
        raise ValueError(f"a last-seen value of version {version}")
    known = None if uptime < 0 else uptime
    return ClientState(STATES[state], "", last, timestamp, interval_ms, since, maintenance_ms, gone_ms, known)


def merged(transition: ClientState | None, seen: ClientState | None) -> ClientState | None:
    """The state of a client by its last transition and by the last time it was kept, whichever heartbeat is the newer.

    A client without a transition has been in one state for longer than the topic keeps transitions.
    """
    if seen is None:
        return transition
    if transition is None:
        return seen._replace(reason=HEARTBEAT if seen.state == ONLINE else REPORTED)
    if seen.last_heartbeat <= transition.last_heartbeat:
        return transition
    return transition._replace(
        last_heartbeat=seen.last_heartbeat, heartbeat_timestamp=seen.heartbeat_timestamp, uptime=seen.uptime
    )
