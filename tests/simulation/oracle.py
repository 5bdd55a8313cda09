"""What should come out: everybody is looked at after every record, by the words of the protocol. No heap, no schedule.

Nothing of the processors' decisions is used here but the types of their input.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import NamedTuple

from processors.liveness import Heartbeat
from processors.watermark import Tick
from tests.simulation.limits import GAP_MS, GRACE_MS, NEVER_CAME_MS, SILENCE_MS
from tests.simulation.scenario import Log, Registered


class Told(NamedTuple):
    """What a transition says."""

    client_id: str
    state: str
    reason: str
    previous: str | None
    timestamp: int
    last_heartbeat: int
    interval_ms: int
    since: int
    deadline: int
    watermark: int


@dataclass(slots=True)
class Client:
    """``last``: when the newest heartbeat was heard, ``sent`` its time by the client."""

    state: str
    reason: str
    last: int
    sent: int
    uptime: float
    interval: int
    since: int
    maintenance: int
    gone: int


class Deadline(NamedTuple):
    """Of an accepted heartbeat: where in the log it stands, the deadline that it gives, when it was heard.

    ``is_copy``: whether it was heard before, word for word.
    """

    client_id: str
    at: int
    due: int
    last: int
    is_copy: bool


@dataclass(slots=True)
class Oracle:
    """``deadlines``: one for each accepted heartbeat.

    ``kept``: where two heartbeats, be they news or not, show that a client keeps an interval (client, position, interval).
    """

    watermark: int | None = None
    ticks: dict[str, int] = field(default_factory=dict)
    doubted: dict[str, int] = field(default_factory=dict)
    floor: int = 0
    blind_until: int = 0
    clients: dict[str, Client] = field(default_factory=dict)
    expected: dict[str, int] = field(default_factory=dict)
    told: list[Told] = field(default_factory=list)
    spans: list[tuple[int, int]] = field(default_factory=list)
    deadlines: list[Deadline] = field(default_factory=list)
    heard: dict[str, list[tuple[int, int]]] = field(default_factory=dict)
    said: set[tuple[str, int, float | None]] = field(default_factory=set)
    kept: list[tuple[str, int, int]] = field(default_factory=list)
    marks: list[int] = field(default_factory=list)

    def read(self, log: Log) -> Oracle:
        """Take the whole log into account."""
        for position, record in enumerate(log):
            if isinstance(record, Heartbeat):
                self._hear(record, position)
            elif isinstance(record, Tick):
                self._tick(record)
                self._look_at_everybody()
            elif isinstance(record, Registered):
                self._register(record)
            self.marks.append(-1 if self.watermark is None else self.watermark)
        return self

    def _register(self, record: Registered) -> None:
        if record.revoked:
            self.expected.pop(record.client_id, None)
        elif record.client_id not in self.clients:
            self.expected.setdefault(record.client_id, record.at)

    def _hear(self, beat: Heartbeat, position: int) -> None:
        heard = beat.received_at
        if self.watermark is not None:
            heard = min(max(heard, self.watermark), self.watermark + SILENCE_MS)
        self._compare(beat, heard, position)
        is_copy = self._is_copy(beat)
        known = self.clients.get(beat.client_id)
        uptime = beat.uptime or 0.0
        if known and beat.timestamp <= known.sent:
            gain = (uptime - known.uptime) * 1000
            if heard < known.last or gain <= 0 or gain > heard - known.last + 60_000:
                return
        last = max(heard, known.last) if known else heard
        interval = beat.interval_ms
        if known and interval < known.interval:
            apart = max(heard - known.last, abs(beat.timestamp - known.sent))
            interval = known.interval if apart > 2 * interval else interval
        reason = "heartbeat" if beat.status == "online" else "reported"
        since = last
        if known and known.state == beat.status:
            since = known.since
            if beat.status == "maintenance":
                reason = known.reason
        new = Client(beat.status, reason, last, beat.timestamp, uptime, interval, since, beat.maintenance_ms, beat.gone_ms)
        self.clients[beat.client_id] = new
        self.deadlines.append(Deadline(beat.client_id, position, last + 3 * interval + GRACE_MS, last, is_copy))
        self.expected.pop(beat.client_id, None)
        if known is None or self._said(known) != self._said(new):
            self._tell(beat.client_id, known.state if known else None, last)

    def _compare(self, beat: Heartbeat, heard: int, position: int) -> None:
        within, before = 2 * beat.interval_ms, self.heard.setdefault(beat.client_id, [])
        if any(0 < abs(beat.timestamp - sent) <= within and abs(heard - at) <= within for sent, at in before[-12:]):
            self.kept.append((beat.client_id, position, beat.interval_ms))
        before.append((beat.timestamp, heard))

    def _is_copy(self, beat: Heartbeat) -> bool:
        words = (beat.client_id, beat.timestamp, beat.uptime)
        was_said = words in self.said
        self.said.add(words)
        return was_said

    @staticmethod
    def _said(client: Client) -> tuple[object, ...]:
        return client.state, client.reason, client.interval, client.maintenance, client.gone

    def _tell(self, name: str, previous: str | None, at: int) -> None:
        it = self.clients[name]
        deadline = at if it.reason == "never_came" else max(it.last, self.floor) + 3 * it.interval + GRACE_MS
        mark = self.watermark or 0
        self.told.append(Told(name, it.state, it.reason, previous, at, it.last, it.interval, it.since, deadline, mark))

    def _tick(self, tick: Tick) -> None:
        others = [at for name, at in self.ticks.items() if name != tick.edge]
        mine = self.ticks.get(tick.edge)
        leaps = bool(others) and tick.timestamp > max(others) + SILENCE_MS
        leaps = leaps and (mine is None or tick.timestamp > mine + GAP_MS)
        first = self.doubted.get(tick.edge, tick.timestamp)
        if leaps and tick.timestamp <= first + SILENCE_MS:
            self.doubted[tick.edge] = first
            self.ticks.pop(tick.edge, None)
            if tick.last:
                del self.doubted[tick.edge]
            self._move(min(self.ticks.values()), may_be_blind=True)
            return
        self.ticks[tick.edge] = max(tick.timestamp, mine or 0)
        newest = max(self.ticks.values())
        self.ticks = {name: at for name, at in self.ticks.items() if at >= newest - SILENCE_MS}
        if tick.edge in self.ticks and (mine is None or tick.timestamp > mine):
            self.doubted.clear()
        self._move(min(self.ticks.values()), may_be_blind=True)
        if tick.last:
            self.ticks.pop(tick.edge, None)
            if self.ticks:
                self._move(min(self.ticks.values()), may_be_blind=False)

    def _move(self, to: int, *, may_be_blind: bool) -> None:
        before = self.watermark
        if before is None:
            self.watermark = self.floor = to
        elif to > before:
            self.watermark = to
            if may_be_blind and to - before > GAP_MS:
                self.spans.append((before, to))
                self.floor = self.blind_until = to

    def _look_at_everybody(self) -> None:
        for name, registered_at in list(self.expected.items()):
            due = max(registered_at, self.blind_until) + NEVER_CAME_MS
            if due <= (self.watermark or 0):
                del self.expected[name]
                self.clients[name] = Client(
                    "offline", "never_came", registered_at, 0, 0.0, 0, due, 14_400_000, 2_592_000_000
                )
                self._tell(name, None, due)
        for name in list(self.clients):
            while self._changes(name):
                pass

    def _changes(self, name: str) -> bool:
        it, now, previous = self.clients[name], self.watermark or 0, self.clients[name].state
        silent_since = max(it.last, self.floor)
        if it.state == "online" and now >= (due := silent_since + 2 * it.interval + GRACE_MS):
            it.state, it.reason, it.since = "late", "late", due
        elif it.state == "maintenance" and it.reason == "reported":
            if now < (due := it.since + it.maintenance):
                return False
            it.reason = "maintenance_expired"
        elif it.state in ("late", "error", "maintenance") and now >= (due := silent_since + 3 * it.interval + GRACE_MS):
            it.state, it.reason, it.since = "offline", "missed_heartbeats", due
        elif it.state == "offline" and now >= (due := it.last + it.gone):
            it.state, it.reason, it.since = "gone", "stale", due
        else:
            return False
        self._tell(name, previous, due)
        return True
