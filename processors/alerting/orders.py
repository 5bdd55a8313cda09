"""Orders of operators: acknowledge an alert, silence alerts, end a silence (``schemas.commands``). Pure.

An order that comes twice is answered twice and carried out once.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from processors.alerting import blindness
from processors.alerting.desk import Desk
from processors.alerting.rule_view import Rules
from processors.alerting.silences import MAX_SILENCES, Silence, Silences
from processors.alerts import Alert
from processors.registry.decision import Outcome, Row, audit, verdict
from schemas.topics import DAY_MS

MAX_DURATION_MS = 366 * DAY_MS
_MAX_TEXT = 256
_MAX_REASON = 1_000

Record = Mapping[str, Any]


class Answer(NamedTuple):
    """The verdict for whoever gave the order, the audit's row where it was carried out, and the alerts that follow."""

    verdict: dict[str, Any]
    audit: Row | None = None
    alerts: tuple[Alert, ...] = ()


class State(NamedTuple):
    """What orders change, and the clock that they go by (ms)."""

    desk: Desk
    silences: Silences
    rules: Rules
    clock_ms: int


class Unfit(ValueError):
    """An order that cannot be carried out; its text is for whoever gave it."""


def carry_out(state: State, command: Record, now_ms: int) -> Answer:
    """Carry an order out, or refuse it with a reason."""
    action = _ACTIONS.get(str(command["action"]))
    try:
        if action is None:
            raise Unfit("no such action")
        outcome, alerts = action(state, command, _body(command))
    except Unfit as error:
        return Answer(verdict(command, _subject(command), Outcome.REFUSED, now_ms, reason=str(error)))
    body = _body(command)
    row = audit(command, str(command["action"]), _subject(command), str(command["actor"]), Outcome.ACCEPTED, **_shown(body))
    return Answer(verdict(command, _subject(command), outcome, now_ms, **_shown(body)), row, tuple(alerts))


def _acknowledge(state: State, command: Record, body: Record) -> tuple[Outcome, list[Alert]]:
    reason = _text(body, "reason", _MAX_REASON) or ""
    done = state.desk.acknowledge(
        _subject(command), str(command["request_id"]), str(command["actor"]), reason, int(command["received_at"])
    )
    if isinstance(done, str):
        raise Unfit(done)
    return (Outcome.ACCEPTED if done else Outcome.RENEWED), done


def _silence(state: State, command: Record, body: Record) -> tuple[Outcome, list[Alert]]:
    if state.silences.get(_subject(command)):
        return Outcome.RENEWED, []
    if len(state.silences) >= MAX_SILENCES:
        raise Unfit(f"there are {MAX_SILENCES} silences already")
    silence = _read(command, body, state.clock_ms)
    if silence.rule not in (None, blindness.RULE) and state.rules.rule(silence.rule) is None:
        raise Unfit("there is no such rule: `viworks rules show` lists them")
    state.silences.put(silence)
    return Outcome.ACCEPTED, []


def _unsilence(state: State, command: Record, body: Record) -> tuple[Outcome, list[Alert]]:
    silence = state.silences.get(_subject(command))
    if silence is None:
        raise Unfit("there is no such silence")
    if silence.ends_at <= state.clock_ms:
        return Outcome.RENEWED, []
    state.silences.put(silence._replace(ends_at=max(silence.starts_at, state.clock_ms)))
    return Outcome.ACCEPTED, state.desk.reconsider()


_Action = Callable[[State, Record, Record], tuple[Outcome, list[Alert]]]
_ACTIONS: dict[str, _Action] = {
    "alert.acknowledge": _acknowledge,
    "alert.silence": _silence,
    "alert.unsilence": _unsilence,
}


def _read(command: Record, body: Record, clock_ms: int) -> Silence:
    """From now on by the signals' clock, which is a little behind the wall clock, where it does not say when."""
    given = int(command["received_at"])
    starts_at = _time(body, "starts_at", min(given, clock_ms))
    duration_ms = _time(body, "duration_ms", 0)
    if not 0 < duration_ms <= MAX_DURATION_MS:
        raise Unfit("a silence lasts from a millisecond to 366 days")
    rule, client_id, node_id = (_text(body, name, _MAX_TEXT) for name in ("rule", "client_id", "node_id"))
    if rule is client_id is node_id is None:
        raise Unfit("it names neither a rule, a client nor a node")
    ends_at = max(starts_at, given if "starts_at" not in body else starts_at) + duration_ms
    reason = _text(body, "reason", _MAX_REASON) or ""
    return Silence(_subject(command), rule, client_id, node_id, starts_at, ends_at, reason, str(command["actor"]), given)


def _body(command: Record) -> Record:
    try:
        body = json.loads(command["body"])
    except (ValueError, RecursionError):
        raise Unfit("its arguments are not JSON") from None
    if not isinstance(body, dict):
        raise Unfit("its arguments are not an object")
    return body


def _text(body: Record, name: str, most: int) -> str | None:
    value = body.get(name)
    if value is None:
        return None
    if not isinstance(value, str) or not 0 < len(value) <= most:
        raise Unfit(f"{name} is not a text of up to {most} characters")
    return value


def _time(body: Record, name: str, otherwise: int) -> int:
    value = body.get(name, otherwise)
    if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value < 1 << 53:
        raise Unfit(f"{name} is not a number of milliseconds")
    return value


def _subject(command: Record) -> str:
    return str(command["subject"])


def _shown(body: Record) -> dict[str, Any]:
    """The arguments by their names, and nothing else that somebody may have put there."""
    names = ("rule", "client_id", "node_id", "starts_at", "duration_ms", "reason")
    return {name: body[name] for name in names if body.get(name) is not None}
