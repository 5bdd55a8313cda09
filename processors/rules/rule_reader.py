"""Reads one rule and checks that its parts go together."""

from __future__ import annotations

import re

from processors.rules.correlation_reader import Place, read_correlation, read_duration, read_field_name, read_source
from processors.rules.detection_reader import ANYTHING, read_selection
from processors.rules.language import KEY_WORDS, OF_SIGNAL, RULE_ID, SEVERITIES, Kind, placeholders
from processors.rules.model import Correlation, Hours, Mute, Rule
from processors.rules.nodes import Members, is_sequence, is_text, items, shown
from processors.rules.selection import Selection
from processors.yaml_nodes import Faults, Node, line_of
from schemas.topics import DAY_MS

_MATCH_RESOLVE_MS = DAY_MS // 24
_MAX_TEXT = 300
_MAX_KEY_FIELDS = 8
_MAX_NAMES = 10_000
_HOURS = re.compile(r"([01][0-9]|2[0-3]):([0-5][0-9])-([01][0-9]|2[0-3]):([0-5][0-9])")
_PLACEHOLDER = re.compile(r"\{([^{}]*)\}")
_DEFAULT_SUMMARY = "{title}"


def read_rule(node: Node, faults: Faults) -> Rule | None:
    """A rule; faults are noted. None where its source is not known, since then nothing in it has a meaning."""
    members = Members(node, faults, "rule")
    rule_id = _read_id(members.require("id"), faults)
    source = read_source(members.require("source"), faults)
    if source is None:
        return None
    place = Place(source, faults)
    correlation = _read_correlation(members, place)
    clear = members.take("clear")
    rule = Rule(
        id=rule_id,
        title=_read_text(members.require("title"), "title", faults),
        severity=_read_severity(members.require("severity"), faults),
        source=source,
        detection=_read_detection(members, correlation.kind, place),
        correlation=correlation,
        for_ms=_read_for(members, correlation.kind, clear is not None, place),
        clear=_read_clear(clear, correlation.kind, place),
        resolve_after_ms=_read_resolve(members, correlation, clear is not None, faults),
        dedup_key=_read_dedup_key(members.take("dedup_key"), place),
        summary=_read_summary(members.take("summary"), source, correlation.kind, faults),
        groups=_read_names(members.take("groups"), "groups", faults),
        mute=_read_mute(members.take("mute"), faults),
        line=line_of(node),
    )
    members.finish()
    return rule


def _read_id(node: Node | None, faults: Faults) -> str:
    if node is None:
        return ""
    if not is_text(node) or not RULE_ID.fullmatch(node.value):
        faults.add(node, "id must begin with a-z and have at most 64 of a-z, 0-9 and _")
        return ""
    return str(node.value)


def _read_text(node: Node | None, what: str, faults: Faults) -> str:
    if node is None:
        return ""
    if not is_text(node) or not 0 < len(node.value) <= _MAX_TEXT or not node.value.isprintable():
        faults.add(node, f"{what} must be one line of text with at most {_MAX_TEXT} characters")
        return ""
    return str(node.value)


def _read_severity(node: Node | None, faults: Faults) -> str:
    if node is None:
        return SEVERITIES[0]
    if not is_text(node) or node.value not in (*SEVERITIES, OF_SIGNAL):
        faults.add(node, f"severity must be one of {', '.join((*SEVERITIES, OF_SIGNAL))}")
    return str(node.value)


def _read_correlation(members: Members, place: Place) -> Correlation:
    node = members.take("correlation")
    return Correlation() if node is None else read_correlation(node, place)


def _read_detection(members: Members, kind: Kind, place: Place) -> Selection:
    if kind not in (Kind.TEMPORAL, Kind.TEMPORAL_ORDERED):
        return read_selection(members.require("detection"), place.source, place.faults, "detection")
    node = members.take("detection")
    if node is not None:
        place.faults.add(node, f"{kind} has a detection in each step, and none beside them")
    return ANYTHING


def _read_for(members: Members, kind: Kind, has_clear: bool, place: Place) -> int:
    node = members.take("for")
    if node is None:
        return 0
    if kind is Kind.ABSENCE:
        place.faults.add(node, "absence has its time in timespan, so for has no meaning")
    if kind is Kind.MATCH and not has_clear and place.source not in ("heartbeats", "liveness"):
        place.faults.add(node, f"for needs clear where a signal of {place.source} does not tell how long something lasts")
    return read_duration(node, "for", place.faults, least_ms=1)


def _read_clear(node: Node | None, kind: Kind, place: Place) -> Selection | None:
    if node is None:
        return None
    if kind not in (Kind.MATCH, Kind.VALUE_COUNT):
        place.faults.add(node, f"clear goes with match and value_count; {kind} ends by resolve_after")
        return None
    return read_selection(node, place.source, place.faults, "clear")


def _read_resolve(members: Members, correlation: Correlation, has_clear: bool, faults: Faults) -> int | None:
    node = members.take("resolve_after")
    if node is not None:
        return read_duration(node, "resolve_after", faults)
    if has_clear:
        return None
    return _MATCH_RESOLVE_MS if correlation.kind is Kind.MATCH else correlation.timespan_ms


def _read_dedup_key(node: Node | None, place: Place) -> tuple[str, ...]:
    if node is None:
        return ()
    if not is_sequence(node) or not 0 < len(node.value) <= _MAX_KEY_FIELDS:
        place.faults.add(node, f"dedup_key must be a list of 1 to {_MAX_KEY_FIELDS} fields, signal_id or day")
        return ()
    return tuple(read_field_name(each, place, KEY_WORDS) for each in node.value)


def _read_summary(node: Node | None, source: str, kind: Kind, faults: Faults) -> str:
    summary = _read_text(node, "summary", faults) if node is not None else _DEFAULT_SUMMARY
    known = placeholders(source, kind)
    for name in _PLACEHOLDER.findall(summary):
        if name not in known:
            faults.add(node, f"the summary cannot name {shown(name)}; here it may name {', '.join(sorted(known))}")
    if set("{}") & set(_PLACEHOLDER.sub("", summary)):
        faults.add(node, "a brace in the summary must belong to a placeholder such as {client_id}")
    return summary


def _read_names(node: Node | None, what: str, faults: Faults) -> tuple[str, ...]:
    if node is None:
        return ()
    names = items(node)
    if not 0 < len(names) <= _MAX_NAMES or not all(is_text(each) and each.value for each in names):
        faults.add(node, f"{what} must be a list of text")
        return ()
    return tuple(str(each.value) for each in names)


def _read_mute(node: Node | None, faults: Faults) -> Mute:
    if node is None:
        return Mute()
    members = Members(node, faults, "mute")
    mute = Mute(
        frozenset(_read_names(members.take("client_id"), "client_id", faults)),
        frozenset(_read_names(members.take("node_id"), "node_id", faults)),
        _read_hours(members.take("hours"), faults),
    )
    members.finish()
    return mute


def _read_hours(node: Node | None, faults: Faults) -> Hours | None:
    if node is None:
        return None
    found = _HOURS.fullmatch(node.value) if is_text(node) else None
    if found is None:
        faults.add(node, 'hours must be from and to in UTC, such as "22:00-06:00"')
        return None
    start_h, start_min, end_h, end_min = (int(part) for part in found.groups())
    return Hours(start_h * 60 + start_min, end_h * 60 + end_min)
