"""What each rule of the simulation should find, in the plainest way: lists of everything, and all of it looked at each time.

Nothing here is shared with the engine but the signals.
"""

from __future__ import annotations

import math
from typing import Any

from processors.alerting.signals import Signal
from tests.processors.rules.simulation import Step, Told

_SECOND = 1_000
_SLACK = 360 * _SECOND


class Thing:
    """A finding in the oracle's words."""

    def __init__(self, key: tuple[Any, ...], first: int, last: int, due: float, state: str = "standing") -> None:
        self.key, self.first, self.last, self.due, self.state, self.since = key, first, last, due, state, first


class Oracle:
    """One pass over all steps."""

    def __init__(self, spooled_ms: int) -> None:
        self.clock = 0
        self.spooled_ms = spooled_ms
        self.out: list[Told] = []
        self.things: dict[tuple[str, str], list[Thing]] = {}
        self.history: dict[tuple[str, str], list[tuple[int, str, str, int]]] = {}
        self.clients: set[str] = set()

    def run(self, steps: list[Step]) -> set[Told]:
        for step in steps:
            if step.signal is None:
                self.clock = max(self.clock, step.clock_ms)
                self.tick()
            elif step.signal.source == "events":
                self.event(step.signal)
            elif step.signal.source == "liveness":
                self.liveness(step.signal)
            else:
                self.heartbeat(step.signal)
        assert len(self.out) == len(set(self.out)), "the oracle itself told something twice"
        return set(self.out)

    def of(self, rule: str, group: str) -> list[Thing]:
        return self.things.setdefault((rule, group), [])

    def begins(self, rule: str, thing: Thing, at: int) -> None:
        thing.state = "standing"
        self.out.append((rule, "begins", thing.key, at))

    def ends(self, rule: str, thing: Thing, at: int) -> None:
        if thing.state == "standing":
            self.out.append((rule, "ends", thing.key, at))
        thing.state = "over"

    def tick(self) -> None:
        for (rule, _), things in self.things.items():
            for thing in things:
                if thing.state == "pending" and rule == "lasting":
                    self.ripen(thing)
                elif thing.state == "pending" and thing.due <= self.clock:
                    self.begins(rule, thing, int(thing.due))
                    thing.due = max(thing.last, self.clock) + 20 * _SECOND
                if thing.state == "standing" and thing.due <= self.clock:
                    self.ends(rule, thing, int(thing.due))

    # events

    def event(self, signal: Signal) -> None:
        at, client, kind = signal.timestamp, signal.client_id, signal.fields["event_type"]
        if signal.fields["severity"] == "high":
            thing = Thing((client, signal.signal_id), at, at, max(at, self.clock) + 30 * _SECOND)
            self.of("each", client).append(thing)
            self.begins("each", thing, at)
        if kind == "authentication_failure":
            self.window("count", client, signal, signal.signal_id, 10 * _SECOND)
        if kind in ("certificate_error", "policy_violation"):
            self.window("steps", client, signal, str(kind), 10 * _SECOND)
        if kind == "system_error":
            self.heard(client, signal)
        self.window("distinct", str(signal.fields["source_ip_pseudonym"]), signal, client, 15 * _SECOND)

    def window(self, rule: str, group: str, signal: Signal, value: str, resolve: int) -> None:
        span = 10 * _SECOND
        history = self.history.setdefault((rule, group), [])
        known = [entry for entry in history if entry[3] > self.clock]
        if rule == "distinct":
            if any(entry[2] == value and entry[0] >= signal.timestamp for entry in known):
                return
            known = [entry for entry in known if entry[2] != value]
        new = (signal.timestamp, signal.signal_id, value, max(signal.timestamp, self.clock) + max(2 * span, self.spooled_ms))
        known = sorted([*known, new], key=lambda entry: (entry[0], entry[1] if rule == "count" else entry[2], entry[1]))
        self.history[rule, group] = known
        run = self.pairs(known, new, span) if rule == "steps" else self.threes(known, new, span)
        things = sorted(self.of(rule, group), key=lambda thing: (thing.since, thing.first))
        if not run:
            self.touch(things, new[0], span, resolve)
            return
        first, last = run[0][0], run[-1][0]
        near = [t for t in things if self.near(t, first, last, span if t.state == "over" else max(span, resolve))]
        live = [thing for thing in near if thing.state != "over"]
        if live:
            self.stretch(live[0], last, resolve)
        elif not near:
            key = (group, run[0][1])
            thing = Thing(key, first, last, max(last, self.clock) + resolve)
            thing.since = last
            self.of(rule, group).append(thing)
            self.begins(rule, thing, last)

    def near(self, thing: Thing, first: int, last: int, reach: int) -> bool:
        return first <= thing.last + reach and last >= thing.first - reach

    def touch(self, things: list[Thing], at: int, span: int, resolve: int) -> None:
        for thing in things:
            if thing.state == "standing" and self.near(thing, at, at, max(span, resolve)):
                self.stretch(thing, at, resolve)
                return

    def stretch(self, thing: Thing, at: int, resolve: int) -> None:
        thing.first = min(thing.first, at)
        if at > thing.last:
            thing.last = at
            thing.due = max(thing.due, max(at, self.clock) + resolve)

    def threes(self, known: list[Any], new: Any, span: int) -> list[Any]:
        runs = [known[n : n + 3] for n in range(len(known) - 2)]
        return next((run for run in runs if new in run and run[2][0] - run[0][0] <= span), [])

    def pairs(self, known: list[Any], new: Any, span: int) -> list[Any]:
        for number, start in enumerate(known):
            within = [entry for entry in known[number:] if entry[0] <= start[0] + span]
            firsts = {}
            for entry in within:
                firsts.setdefault(entry[2], entry)
            if len(firsts) == 2 and start[0] <= new[0] <= start[0] + span:
                return sorted(firsts.values(), key=lambda entry: (entry[0], entry[2]))
        return []

    def heard(self, client: str, signal: Signal) -> None:
        at, things = signal.timestamp, self.of("silent", client)
        if any(at <= thing.last for thing in things):
            return
        for thing in things:
            thing.last = max(thing.last, at)
            self.ends("silent", thing, at)
        due = max(at, self.clock) + 12 * _SECOND
        things.append(Thing((client, signal.signal_id), at, at, due, "pending"))

    # liveness

    def liveness(self, signal: Signal) -> None:
        self.clients.add(signal.client_id)
        at, client = signal.timestamp, signal.client_id
        offline = signal.fields["state"] == "offline"
        key = (client, signal.fields["silent_since"])
        for thing in self.of("keyed", client):
            if not offline and thing.key == key:
                self.ends("keyed", thing, at)
        if offline:
            thing = Thing(key, at, at, math.inf)
            self.of("keyed", client).append(thing)
            self.begins("keyed", thing, at)
        (self.lost if offline else self.found)(signal)

    def lost(self, signal: Signal) -> None:
        span, at = 10 * _SECOND, signal.timestamp
        new = (at, signal.client_id, signal.signal_id, max(at, self.clock) + 2 * span)
        live = self.live_mass()
        held = [entry for entry in self.history.get(("mass", ""), []) if live or entry[3] > self.clock]
        held = sorted([*(entry for entry in held if entry[1] != signal.client_id), new])
        self.history["mass", ""] = held
        if live:
            if at + span >= live.first:
                live.first, live.last = min(live.first, at), max(live.last, at)
            return
        needed = max(2, math.ceil(0.4 * len(self.clients)))
        runs = [held[n : n + needed] for n in range(len(held) - needed + 1)]
        run = next((run for run in runs if new in run and run[-1][0] - run[0][0] <= span), None)
        if run and not any(run[-1][0] <= thing.last for thing in self.of("mass", "")):
            thing = Thing((run[0][2],), run[0][0], run[-1][0], math.inf)
            self.of("mass", "").append(thing)
            self.begins("mass", thing, run[-1][0])

    def live_mass(self) -> Thing | None:
        return next((thing for thing in self.of("mass", "") if thing.state == "standing"), None)

    def found(self, signal: Signal) -> None:
        live = self.live_mass()
        before = [entry for entry in self.history.get(("mass", ""), []) if live or entry[3] > self.clock]
        held = [entry for entry in before if entry[1] != signal.client_id or entry[0] > signal.timestamp]
        self.history["mass", ""] = held
        if live and held != before and sum(entry[0] >= live.first for entry in held) < 2:
            live.last = max(live.last, signal.timestamp)
            self.history["mass", ""] = []
            self.ends("mass", live, signal.timestamp)

    # heartbeats

    def heartbeat(self, signal: Signal) -> None:
        at, client, cpu = signal.timestamp, signal.client_id, int(str(signal.fields["cpu_usage"]))
        things = self.of("lasting", client)
        if cpu < 90:
            for thing in things:
                if thing.first <= at and (thing.state == "pending" or (thing.state == "standing" and cpu < 50)):
                    thing.last = max(thing.last, at)
                    self.ends("lasting", thing, at)
            return
        if any(thing.state == "over" and thing.first <= at <= thing.last for thing in things):
            return
        live = [thing for thing in things if thing.state in ("pending", "standing")]
        if not live:
            things.append(Thing((client, signal.signal_id), at, at, math.inf, "pending"))
            return
        if at <= live[0].last:
            return
        live[0].last = at
        if live[0].state == "pending" and max(at, self.clock) >= live[0].since + 20 * _SECOND:
            self.ripen(live[0], max(at, self.clock))

    def ripen(self, thing: Thing, now: int | None = None) -> None:
        ripe = thing.since + 20 * _SECOND
        now = self.clock if now is None else now
        if now < ripe:
            return
        if thing.last > thing.since and thing.last >= ripe - _SLACK:
            self.begins("lasting", thing, ripe)
        elif thing.last + _SLACK <= self.clock:
            thing.state = "dropped"
