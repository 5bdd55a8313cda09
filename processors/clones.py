"""Two machines with one identity: their heartbeats, mixed, go back and forth between two moments of booting. Pure.

A heartbeat tells when its machine was booted: its time less its uptime, once by the edge's clock and once by the client's.
A reboot moves both forward. A clock that was set, or a heartbeat that was sent late, moves one of them only. Both go back
where an older boot speaks again after a newer one, and a second time where it was no accident.
"""

from __future__ import annotations

from typing import NamedTuple

TOLERANCE_MS = 60_000
RETURNS = 2
_DAY_MS = 86_400_000


class Boots(NamedTuple):
    """The boot that spoke last, by both clocks; how often an older one has returned; the day (UTC) of the last alert."""

    by_edge_ms: float
    by_client_ms: float
    returns: int = 0
    told_on: int = -1


def observe(before: Boots | None, uptime_s: float, timestamp: int, received_at: int) -> tuple[Boots, bool]:
    """The state after a heartbeat, and whether to raise the alarm: once a day at most.

    Args:
        uptime_s: as the client says; any number, infinity too.
        timestamp: of the heartbeat by the client's clock, ``received_at`` by the edge's; milliseconds.
    """
    by_edge, by_client = received_at - uptime_s * 1000, timestamp - uptime_s * 1000
    if before is None:
        return Boots(by_edge, by_client), False
    returned = before.by_edge_ms - by_edge > TOLERANCE_MS and before.by_client_ms - by_client > TOLERANCE_MS
    after = Boots(by_edge, by_client, before.returns + returned, before.told_on)
    today = received_at // _DAY_MS
    if not returned or after.returns < RETURNS or today <= after.told_on:
        return after, False
    return after._replace(told_on=today), True
