"""The clients of one partition of the heartbeats, against the partition's clock. No input or output, no machine's clock.

A client stands in the heap once, with a time not later than the next at which the clock changes its state; only when the
watermark reaches that does anybody look at it again. So a heartbeat costs a dictionary entry, and a tick costs what is due,
not what exists.
"""

from __future__ import annotations

import heapq
from collections.abc import Iterable, Iterator, Mapping
from typing import NamedTuple

from processors import liveness
from processors.checkpoint import Checkpoint, merged
from processors.liveness import ClientState, Heartbeat, Transition
from processors.rota import Rota
from processors.watermark import BlindSpan, ClockLimits, Tick, advance

# Between two writes of the checkpoint heartbeats may come in so much later than it says.
HEARD_STEP_MS = 500
_SPARE_ENTRIES = 1_000
_NEVER = 1 << 62


class FleetLimits(NamedTuple):
    """See ``processors.settings`` for what each is."""

    grace_ms: int
    clock: ClockLimits
    never_came_after_ms: int = 900_000
    last_seen_every_ms: int = 3_600_000


class Restored(NamedTuple):
    """What was kept of a partition: the last transition and the last kept state of each client, and the clock."""

    transitions: Iterable[Transition] = ()
    seen: Mapping[str, ClientState] = {}
    checkpoint: Checkpoint = Checkpoint()


NOTHING = Restored()


class FleetPartition:
    """In-memory state of one partition. ``restored``: the checkpoint that it began with.

    Heartbeats after what was restored are unknown, so each client gets a fresh deadline, counted from the newest heartbeat
    that the former worker can have seen, or from the first tick where that is not known either.
    """

    def __init__(self, limits: FleetLimits, restored: Restored = NOTHING) -> None:
        self._limits = limits
        self._kept = restored.checkpoint
        self.restored = restored.checkpoint
        self._clock, self._heard_ms, self._blind_until_ms, _, self._newest_ms = restored.checkpoint
        known = self._clock.watermark_ms
        self._floor_ms = 0 if known is None else max(self._heard_ms + HEARD_STEP_MS, known)
        # A heartbeat's time by its edge is believed within these.
        self._earliest_ms, self._latest_ms = 0, _NEVER
        self._bound()
        self._clients: dict[str, ClientState] = {}
        self._expected: dict[str, int] = {}
        self._heap: list[tuple[int, str]] = []
        self._scheduled: dict[str, int] = {}
        self._rota = Rota(limits.last_seen_every_ms)
        # Persisted before a crash, further on in the log than what is read again: by the watermark of the transition.
        self._covered: dict[str, int] = {}
        self._untold = self._restore(restored)

    def untold(self) -> list[Transition]:
        """Once after a restart: the verdicts of which perhaps nobody was told, though they are persisted.

        The checkpoint is written after what a verdict leads to, so those are the verdicts that are not older than it. It
        does no harm to tell of one again.
        """
        untold, self._untold = self._untold, []
        return untold

    def heartbeat(self, beat: Heartbeat) -> Transition | None:
        """Take a heartbeat into account; a transition where it changes the client's liveness."""
        client_id, heard_ms = beat.client_id, beat.received_at
        if heard_ms > self._newest_ms:
            self._newest_ms = heard_ms
        if self._covered and self._watermark < self._covered.get(client_id, 0):
            return None
        if heard_ms < self._earliest_ms:
            heard_ms = self._earliest_ms
        elif heard_ms > self._latest_ms:
            heard_ms = self._latest_ms
        before = self._clients.get(client_id)
        after, changed = liveness.on_heartbeat(before, beat, heard_ms)
        if after is before:
            return None
        self._clients[client_id] = after
        if heard_ms > self._heard_ms:
            self._heard_ms = heard_ms
        return self._changed(client_id, before, after, after.last_heartbeat) if changed else None

    def tick(self, tick: Tick) -> tuple[list[Transition], BlindSpan | None]:
        """Take a tick into account; what the clock now changes, and the blind span that the tick ends."""
        self._newest_ms = max(self._newest_ms, tick.timestamp)
        before = self._clock.watermark_ms
        self._clock, blind = advance(self._clock, tick, self._limits.clock)
        if blind is not None:
            # Not the watermark: an edge's last tick may have moved it on from there, over what is proved to have been seen.
            self._blind_until_ms = blind.end_ms
            self._floor_ms = max(self._floor_ms, blind.end_ms)
        elif before is None:
            self._floor_ms = max(self._floor_ms, self._watermark)
        if self._covered and self._watermark >= max(self._covered.values()):
            self._covered.clear()
        self._bound()
        self._rota.advance(self._watermark - (self._watermark if before is None else before))
        return list(self._due()), blind

    def expect(self, client_id: str, registered_at: int) -> None:
        """A client has registered: it has to come. Known clients are not expected, and none twice."""
        if client_id not in self._clients and client_id not in self._expected:
            self._expected[client_id] = registered_at
            self._schedule(client_id)

    def forget(self, client_id: str) -> None:
        """A client need not come any more, such as a revoked one."""
        self._expected.pop(client_id, None)

    @property
    def watermark_ms(self) -> int | None:
        """How far the partition has proved to have seen; None before the first tick."""
        return self._clock.watermark_ms

    def checkpoint(self, offset: int) -> tuple[Checkpoint | None, dict[str, ClientState]]:
        """What is to be kept after a batch that ends at the offset: the clients whose turn it is, and the clock.

        None in place of the clock where it has not moved.
        """
        seen = {client_id: state for client_id in self._rota.turns() if (state := self._clients.get(client_id))}
        if self._clock == self._kept.clock and self._heard_ms <= self._kept.heard_ms + HEARD_STEP_MS:
            return None, seen
        self._kept = Checkpoint(self._clock, self._heard_ms, self._blind_until_ms, offset, self._newest_ms)
        return self._kept, seen

    @property
    def _watermark(self) -> int:
        return self._clock.watermark_ms or 0

    def _bound(self) -> None:
        """An edge's clock may be wrong: what comes in now was not accepted before the watermark, nor long after it.

        So nobody goes offline whose heartbeats come in while the watermark moves less than the deadline, whatever the edges'
        clocks say, and nobody is found out later than ``silence_ms`` after the deadline.
        """
        if self._clock.watermark_ms is not None:
            self._earliest_ms = self._clock.watermark_ms
            self._latest_ms = self._earliest_ms + self._limits.clock.silence_ms

    def _restore(self, restored: Restored) -> list[Transition]:
        newest = {transition.client_id: transition for transition in restored.transitions}
        for client_id in dict.fromkeys([*newest, *restored.seen]):
            transition = newest.get(client_id)
            state = merged(transition.current if transition else None, restored.seen.get(client_id))
            if state is not None:
                self._clients[client_id] = state
        for client_id in self._clients:
            self._schedule(client_id)
            self._rota.join(client_id)
        told_until = self._clock.watermark_ms or 0
        # The watermark only grows along the log, so what is read while it is less stands before the transition.
        self._covered = {name: each.watermark for name, each in newest.items() if each.watermark > told_until}
        verdicts = [each for each in newest.values() if each.current.reason in liveness.VERDICTS]
        return [each for each in verdicts if each.watermark >= told_until]

    def _due_ms(self, client_id: str) -> int | None:
        state = self._clients.get(client_id)
        if state is not None:
            return liveness.due_ms(state, self._floor_ms, self._limits.grace_ms)
        registered_at = self._expected.get(client_id)
        # Of a first heartbeat there is a transition, so a restart makes nobody doubt that there was none.
        return None if registered_at is None else max(registered_at, self._blind_until_ms) + self._limits.never_came_after_ms

    def _schedule(self, client_id: str) -> None:
        due = self._due_ms(client_id)
        standing = self._scheduled.get(client_id)
        if due is not None and (standing is None or due < standing):
            self._scheduled[client_id] = due
            heapq.heappush(self._heap, (due, client_id))
            if len(self._heap) > 2 * len(self._scheduled) + _SPARE_ENTRIES:
                self._heap = [(at, name) for name, at in self._scheduled.items()]
                heapq.heapify(self._heap)

    def _due(self) -> Iterator[Transition]:
        while self._heap and self._heap[0][0] <= self._watermark:
            scheduled, client_id = heapq.heappop(self._heap)
            if self._scheduled.get(client_id) != scheduled:
                continue
            del self._scheduled[client_id]
            due = self._due_ms(client_id)
            if due is None:
                continue
            if due > self._watermark:
                self._schedule(client_id)
                continue
            yield self._verdict(client_id, due)

    def _verdict(self, client_id: str, due: int) -> Transition:
        before = self._clients.get(client_id)
        after = liveness.on_due(before, due) if before else liveness.never_came(self._expected[client_id], due)
        self._clients[client_id] = after
        return self._changed(client_id, before, after, due)

    def _changed(self, client_id: str, before: ClientState | None, after: ClientState, at_ms: int) -> Transition:
        if before is None:
            self._expected.pop(client_id, None)
            self._rota.join(client_id)
        self._schedule(client_id)
        deadline = liveness.offline_at_ms(after, self._floor_ms, self._limits.grace_ms)
        if after.reason == liveness.NEVER_CAME:
            deadline = at_ms
        return Transition(client_id, before, after, at_ms, deadline, self._watermark)
