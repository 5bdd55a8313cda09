"""Plays the acts of a scenario on a simulation."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from fleet import hostile, requests
from fleet.beats import Beats
from fleet.client import SimulatedClient
from fleet.deliveries import Deliveries
from fleet.exchange import Exchange
from fleet.scenario import Act, Hostility, Kind, Scenario
from fleet.simulation import Action, Simulation

HOSTILE = "hostile"
_WEATHER = ("connection_attempt", "policy_violation", "system_error")
Members = Sequence[SimulatedClient]


@dataclass(frozen=True, slots=True)
class Play:
    """An act while it is played: who is in it, and until when (monotonic ms)."""

    act: Act
    members: Members
    until_ms: float


class Stage:
    """``run`` names the run in the ids of events and sessions, which must be new in each; ``messages`` counts them."""

    def __init__(self, simulation: Simulation, beats: Beats, deliveries: Deliveries, run: str) -> None:
        self._simulation = simulation
        self._beats = beats
        self._deliveries = deliveries
        self._run = run
        self.messages = 0
        self._begin: Mapping[Kind, Callable[[Play], None]] = {
            Kind.SILENCE: self._switch_off,
            Kind.CUT: self._cut,
            Kind.SKEW: self._skew,
            Kind.CLONE: self._clone,
        }
        self._emit: Mapping[Kind, Callable[[Play, SimulatedClient], None]] = {
            Kind.BRUTE_FORCE: self._fail_to_authenticate,
            Kind.EVENTS: self._report_event,
            Kind.SESSIONS: self._report_session,
            Kind.CHURN: self._leave,
            Kind.HOSTILE: self._attack,
        }

    def play(self, scenario: Scenario, seed: str) -> None:
        """Have all acts begin at their times, counted from now."""
        start_ms = self._simulation.clock.monotonic_ms()
        clients = self._simulation.clients
        for act in scenario.acts:
            members = [clients[number] for number in act.chosen(len(clients), seed)]
            span_ms = float("inf") if act.for_ms is None else act.for_ms
            play = Play(act, members, start_ms + act.at_ms + span_ms)
            if members:
                self._simulation.at(start_ms + act.at_ms, self._beginning_of(play), members[0])

    def _beginning_of(self, play: Play) -> Action:
        begin = self._begin.get(play.act.kind, self._emit_next)
        return lambda _, __: begin(play)

    def _at_end(self, play: Play, do: Callable[[SimulatedClient], None]) -> None:
        if play.until_ms == float("inf"):
            return
        for client in play.members:
            self._simulation.at(play.until_ms, lambda who, _: do(who), client)

    def _switch_off(self, play: Play) -> None:
        for client in play.members:
            client.silent += 1
        self._at_end(play, self._switch_on)

    def _switch_on(self, client: SimulatedClient) -> None:
        client.silent -= 1
        if not client.silent:
            # A device that was off has been booted since.
            client.booted_ms = self._simulation.clock.wall_ms() + client.skew_ms
            self._beats.start(client, client.interval_ms)

    def _cut(self, play: Play) -> None:
        for client in play.members:
            client.cut += 1
        self._at_end(play, self._mend)

    def _mend(self, client: SimulatedClient) -> None:
        client.cut -= 1

    def _skew(self, play: Play) -> None:
        def put(client: SimulatedClient, by_ms: int) -> None:
            client.skew_ms += by_ms
            client.booted_ms += by_ms  # the uptime is not the clock's
            client.newest_ms = 0

        for client in play.members:
            put(client, play.act.by_ms)
        self._at_end(play, lambda client: put(client, -play.act.by_ms))

    def _clone(self, play: Play) -> None:
        twins = [client.make_twin(self._simulation.clock.wall_ms()) for client in play.members]
        for twin in twins:
            self._beats.start(twin, twin.interval_ms)
        self._at_end(Play(play.act, twins, play.until_ms), self._silence)

    def _silence(self, client: SimulatedClient) -> None:
        client.silent += 1

    def _emit_next(self, play: Play) -> None:
        """The first of what comes at random moments at a rate, each of a random member (a Poisson process)."""
        self._plan(play, self._simulation.clock.monotonic_ms())

    def _plan(self, play: Play, after_ms: float) -> None:
        due_ms = after_ms + self._simulation.chance.expovariate(play.act.rate_per_s / 1000)
        if due_ms < play.until_ms:
            client = play.members[int(self._simulation.chance.random() * len(play.members))]
            self._simulation.at(due_ms, lambda who, at_ms: self._emit_one(play, who, at_ms), client)

    def _emit_one(self, play: Play, client: SimulatedClient, due_ms: float) -> None:
        self._plan(play, due_ms)
        if not client.silent:
            self._emit[play.act.kind](play, client)

    def _fail_to_authenticate(self, play: Play, client: SimulatedClient) -> None:
        self._say(client, "authentication_failure", "medium", play.act.source_ip)

    def _report_event(self, play: Play, client: SimulatedClient) -> None:
        types = play.act.values or _WEATHER
        self._say(client, types[int(self._simulation.chance.random() * len(types))], play.act.severity, "198.51.100.0")

    def _say(self, client: SimulatedClient, event_type: str, severity: str, source_ip: str) -> None:
        wall_ms = self._simulation.clock.wall_ms()
        event = requests.event(client, self._new_id(), event_type, severity, wall_ms, source_ip)
        self._deliveries.submit(client, "events", event)

    def _report_session(self, play: Play, client: SimulatedClient) -> None:
        session_id, start_ms = self._new_id(), self._simulation.clock.wall_ms()
        node = requests.node_of(client)
        self._deliveries.submit(client, "sessions", requests.session(client, session_id, start_ms, None, node))

        def end(who: SimulatedClient, _: float) -> None:
            end_ms = self._simulation.clock.wall_ms()
            self._deliveries.submit(who, "sessions", requests.session(who, session_id, start_ms, end_ms, node))

        self._simulation.after(play.act.away_ms, end, client)

    def _leave(self, play: Play, client: SimulatedClient) -> None:
        """It says that it goes, or just goes, and comes back later."""
        if play.act.farewell:
            self._beats.say(client, "offline")
        client.silent += 1
        self._simulation.after(play.act.away_ms, lambda who, _: self._switch_on(who), client)

    def _attack(self, play: Play, client: SimulatedClient) -> None:
        kinds = play.act.values or tuple(Hostility)
        kind = Hostility(kinds[int(self._simulation.chance.random() * len(kinds))])
        now_ms = self._simulation.clock.monotonic_ms()
        request = hostile.request(kind, client, self._simulation.clock.wall_ms())
        self._simulation.send(request, Exchange(client, HOSTILE, now_ms))

    def _new_id(self) -> str:
        self.messages += 1
        return f"{self._run}-{self.messages}"
