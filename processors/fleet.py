"""The clients of one partition of the heartbeats, against the partition's clock. No input or output, no machine's clock.

A client stands in the heap once, with a deadline not later than its real one; only when the watermark reaches that does
anybody look at it again. So a heartbeat costs a dictionary entry, and a tick costs what is due, not what exists.
"""

from __future__ import annotations

import heapq
from collections.abc import Iterable, Iterator

from processors import liveness
from processors.liveness import ClientState, Heartbeat, Transition
from processors.watermark import BlindSpan, ClockLimits, PartitionClock, advance


class FleetPartition:
    """In-memory state of one partition.

    Args:
        restored: the newest transition of each client, as persisted. Heartbeats since then are unknown, so the watched
            ones among these get a fresh deadline, counted from the first watermark.
    """

    def __init__(self, grace_ms: int, limits: ClockLimits, restored: Iterable[Transition] = ()) -> None:
        self._grace_ms = grace_ms
        self._limits = limits
        self._clock = PartitionClock()
        self._floor_ms = 0
        self._restored = {transition.client_id: transition for transition in restored}
        self._clients = {client_id: transition.current for client_id, transition in self._restored.items()}
        self._heap: list[tuple[int, str]] = []
        self._scheduled: dict[str, int] = {}

    def heartbeat(self, beat: Heartbeat) -> Transition | None:
        """Take a heartbeat into account; a transition where it changes the client's liveness."""
        before = self._clients.get(beat.client_id)
        after, changed = liveness.on_heartbeat(before, beat)
        if after is None or after is before:
            return None
        self._clients[beat.client_id] = after
        if liveness.is_watched(after):
            self._schedule(beat.client_id, after)
        if not changed:
            return None
        return self._transition(beat.client_id, before, after, after.last_heartbeat)

    def tick(self, edge: str, timestamp_ms: int) -> tuple[list[Transition], BlindSpan | None]:
        """Take a tick into account; the offline transitions that are due, and the blind span that it ends."""
        first = self._clock.watermark_ms is None
        self._clock, blind = advance(self._clock, edge, timestamp_ms, self._limits)
        if blind is not None:
            self._floor_ms = self._watermark
        transitions = list(self._resume()) if first else []
        transitions += self._due()
        return transitions, blind

    @property
    def _watermark(self) -> int:
        return self._clock.watermark_ms or 0

    def _resume(self) -> Iterator[Transition]:
        """At the first watermark after a start: fresh deadlines, and the offline verdicts whose alert may be missing.

        A tick that led to a verdict is acknowledged after the alert. So where the verdict is persisted and the alert is
        perhaps not, that very tick is read again, and the first watermark is not later than the verdict's.
        """
        self._floor_ms = self._watermark
        for client_id, state in self._clients.items():
            if liveness.is_watched(state):
                self._schedule(client_id, state)
        for transition in self._restored.values():
            if liveness.is_missing(self._clients[transition.client_id]) and transition.watermark >= self._watermark:
                yield transition
        self._restored.clear()

    def _schedule(self, client_id: str, state: ClientState) -> None:
        deadline = liveness.deadline_ms(state, self._floor_ms, self._grace_ms)
        standing = self._scheduled.get(client_id)
        if standing is None or deadline < standing:
            self._scheduled[client_id] = deadline
            heapq.heappush(self._heap, (deadline, client_id))

    def _due(self) -> Iterator[Transition]:
        while self._heap and self._heap[0][0] <= self._watermark:
            scheduled, client_id = heapq.heappop(self._heap)
            if self._scheduled.get(client_id) != scheduled:
                continue
            del self._scheduled[client_id]
            state = self._clients[client_id]
            if not liveness.is_watched(state):
                continue
            deadline = liveness.deadline_ms(state, self._floor_ms, self._grace_ms)
            if deadline > self._watermark:
                self._schedule(client_id, state)
                continue
            after = self._clients[client_id] = liveness.on_deadline(state)
            yield self._transition(client_id, state, after, deadline)

    def _transition(self, client_id: str, before: ClientState | None, after: ClientState, at_ms: int) -> Transition:
        deadline = liveness.deadline_ms(after, self._floor_ms, self._grace_ms)
        return Transition(client_id, before, after, at_ms, deadline, self._watermark)
