"""Reads scenario files of ``viworks fleet``: YAML, all faults at once with their lines. docs/fleet.md describes them."""

from __future__ import annotations

from importlib import resources
from pathlib import Path

from fleet.discipline import Discipline
from fleet.scenario import Act, Hostility, Kind, Scenario
from infra.errors import ScenarioInvalid
from processors.durations import duration_ms
from processors.yaml_document import Members, Value, load, parse
from processors.yaml_nodes import Faults, YamlInvalid
from schemas.messages import SecurityEventType, SecuritySeverity

_SHIPPED = resources.files("infra").joinpath("scenarios")
_MOST_ACTS, _MOST_CLIENTS, _MOST_RATE = 100, 1_000_000, 100_000
_WEEK_MS = 7 * 86_400_000
_HOUR_MS = 3_600_000
_PLAIN, _USUAL = Scenario(), Act(Kind.SILENCE)
# What an act of a kind has besides its time and its clients.
_OWN = {
    Kind.SILENCE: frozenset[str](),
    Kind.CUT: frozenset[str](),
    Kind.SKEW: frozenset({"by"}),
    Kind.CLONE: frozenset[str](),
    Kind.BRUTE_FORCE: frozenset({"rate", "source_ip"}),
    Kind.CHURN: frozenset({"rate", "away", "farewell"}),
    Kind.EVENTS: frozenset({"rate", "types", "severity"}),
    Kind.SESSIONS: frozenset({"rate", "lasting"}),
    Kind.HOSTILE: frozenset({"rate", "kinds"}),
}


def shipped() -> list[str]:
    """The names of the scenarios that come with the package."""
    return sorted(entry.name.removesuffix(".yaml") for entry in _SHIPPED.iterdir() if entry.name.endswith(".yaml"))


def read_scenario(name: str) -> Scenario:
    """A shipped scenario by its name, else a file. Raises ScenarioInvalid."""
    faults = Faults(name)
    try:
        if name in shipped():
            document = parse(_SHIPPED.joinpath(f"{name}.yaml").read_bytes(), faults)
        else:
            document = load(Path(name), faults)
        scenario = _scenario(Members(document, "the scenario", faults), faults, Path(name).stem)
        faults.raise_any()
    except YamlInvalid as invalid:
        raise ScenarioInvalid(f"The scenario {name} cannot be played.", invalid.faults) from None
    return scenario


def _scenario(members: Members, faults: Faults, name: str) -> Scenario:
    members.text("title")
    clients = members.number("clients", 1, _MOST_CLIENTS)
    discipline = members.text("discipline", among=tuple(Discipline))
    scenario = Scenario(
        name=name,
        clients=_PLAIN.clients if clients is None else int(clients),
        interval_ms=members.duration_ms("interval", 1_000, _HOUR_MS),
        ramp_ms=members.duration_ms("ramp", 0, _HOUR_MS),
        duration_ms=members.duration_ms("duration", 1_000, _WEEK_MS),
        discipline=Discipline(discipline) if discipline in tuple(Discipline) else Discipline.LIBRARY,
        acts=_acts(members.take("acts"), faults),
    )
    members.finish()
    return scenario


def _acts(listed: Value | None, faults: Faults) -> tuple[Act, ...]:
    if listed is None:
        return ()
    if not isinstance(listed.data, list) or len(listed.data) > _MOST_ACTS:
        faults.add(listed.line, f"acts is not a list of at most {_MOST_ACTS}")
        return ()
    found = (_act(Members(value, "an act", faults)) for value in listed.data)
    return tuple(act for act in found if act is not None)


def _act(members: Members) -> Act | None:
    kind = members.text("act", required=True, among=tuple(Kind))
    if kind is None:
        return None
    own = _OWN[Kind(kind)]
    share, count = _portion(members)
    act = Act(
        kind=Kind(kind),
        at_ms=members.duration_ms("at", 0, _WEEK_MS) or 0,
        for_ms=members.duration_ms("for", 1, _WEEK_MS),
        share=share,
        count=count,
        rate_per_s=(members.number("rate", 0.001, _MOST_RATE) if "rate" in own else None) or 1.0,
        by_ms=_skew_ms(members) if "by" in own else 0,
        away_ms=_away_ms(members, own),
        values=_values(members, own),
        severity=(members.text("severity", among=tuple(SecuritySeverity)) if "severity" in own else None) or _USUAL.severity,
        source_ip=(members.text("source_ip") if "source_ip" in own else None) or _USUAL.source_ip,
        farewell=_farewell(members) if "farewell" in own else True,
    )
    members.finish()
    return act


def _portion(members: Members) -> tuple[float, int | None]:
    """``clients``: a number of them, or a part as in ``10%``."""
    value = members.take("clients")
    if value is None:
        return 1.0, None
    if isinstance(value.data, int) and not isinstance(value.data, bool) and 0 < value.data <= _MOST_CLIENTS:
        return 1.0, value.data
    text = value.data if isinstance(value.data, str) else ""
    number = text.removesuffix("%").strip()
    if text.endswith("%") and number.replace(".", "", 1).isdigit() and len(number) < 8 and 0 < float(number) <= 100:
        return float(number) / 100, None
    members.wrong("clients is neither a number nor a part such as 10%", value.line)
    return 1.0, None


def _skew_ms(members: Members) -> int:
    """A duration, with a minus for a clock that is behind."""
    value = members.take("by", required=True)
    if value is None:
        return 0
    text = value.data if isinstance(value.data, str) else ""
    by_ms = duration_ms(text.removeprefix("-"))
    if by_ms is None or by_ms > _WEEK_MS:
        members.wrong("by is not a duration such as 2m or -30s, at most 7d", value.line)
        return 0
    return -by_ms if text.startswith("-") else by_ms


def _away_ms(members: Members, own: frozenset[str]) -> int:
    name = "away" if "away" in own else "lasting"
    return (members.duration_ms(name, 1, _WEEK_MS) if name in own else None) or _USUAL.away_ms


def _values(members: Members, own: frozenset[str]) -> tuple[str, ...]:
    if "types" in own:
        return members.texts("types", among=tuple(SecurityEventType))
    return members.texts("kinds", among=tuple(Hostility)) if "kinds" in own else ()


def _farewell(members: Members) -> bool:
    value = members.take("farewell")
    if value is not None and not isinstance(value.data, bool):
        members.wrong("farewell is neither true nor false", value.line)
    return value is None or bool(value.data)
