"""One SELECT for each type of correlation (docs/rules.md): which groups met the rule, from when to when, and how far.

What the engine knows and the warehouse does not is left out, and the query says so in its first lines: what ``clear`` ended
meanwhile, mutes and silences, and the population of then, for which that of now stands.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from infra.rule_queries.conditions import literal, where
from infra.rule_queries.relations import relation
from processors.rules.language import FIELDS, Kind
from processors.rules.model import FLEET, Correlation, Rule, Threshold
from sinks.tables import DATABASE

_POPULATION = f"""\
SELECT count() FROM {DATABASE}.fleet_now
WHERE state != 'gone' AND NOT (state = 'offline' AND state_reason IN ('reported', 'never_came'))"""  # noqa: S608 - our own names


def rule_query(rule: Rule, since_s: int) -> str:
    """What the rule would have found in the last seconds: comments, and one statement without an end mark."""
    notes = [f"-- {rule.id}: {' '.join(rule.title.split())}", *(f"-- {note}" for note in _notes(rule))]
    missing = [source for source in sorted(rule.sources) if relation(source, since_s) is None]
    if missing:
        notes.append(f"-- The warehouse keeps no signals of {', '.join(missing)}: these are the alerts that were told.")
    return "\n".join([*notes, _told(rule, since_s) if missing else _found(rule, since_s)])


def _notes(rule: Rule) -> Iterator[str]:
    correlation = rule.correlation
    if rule.clear is not None and rule.kind is not Kind.MATCH:
        yield "Counted is what began within the timespan, whether or not it was cleared meanwhile."
    if correlation.threshold.share:
        yield "The share is one of the population of now."
    if rule.for_ms and rule.kind is not Kind.MATCH:
        yield f"Whether it held for {rule.for_ms // 1000} s is not asked."
    if rule.kind is Kind.CHANGE:
        yield "Compared are the samples within the timespan alone."


def _told(rule: Rule, since_s: int) -> str:
    return (
        f"SELECT alert_id, client_id, node_id, severity, fired_at, resolved_at, summary\nFROM {DATABASE}.alert_timeline\n"
        f"WHERE rule = {literal(rule.id)} AND fired_at > now64(3) - INTERVAL {since_s} SECOND\nORDER BY fired_at"
    )


def _found(rule: Rule, since_s: int) -> str:
    if rule.kind is Kind.MATCH:
        return _lasting(rule, since_s) if rule.for_ms else _single(rule, since_s)
    if rule.kind is Kind.ABSENCE:
        return _absent(rule, since_s)
    if rule.kind in (Kind.TEMPORAL, Kind.TEMPORAL_ORDERED):
        return _runs(_steps(rule, since_s), rule, _sequence(rule))
    rows = f"SELECT *\nFROM ({_signals(rule.source, since_s)})\nWHERE {_all((where(rule.detection), *_grouped(rule)))}"
    return _runs(rows, rule, _counted(rule.correlation))


def _signals(source: str, since_s: int) -> str:
    found = relation(source, since_s)
    assert found is not None, source  # noqa: S101 - the caller has asked
    return "\n" + _indented(found) + "\n"


def _single(rule: Rule, since_s: int) -> str:
    names = [name for name in FIELDS[rule.source] if name not in ("client_id", "node_id")]
    columns = ", ".join(["timestamp", "client_id", "node_id", *names])
    return f"SELECT {columns}\nFROM ({_signals(rule.source, since_s)})\nWHERE {where(rule.detection)}\nORDER BY timestamp"


def _lasting(rule: Rule, since_s: int) -> str:
    """Signals in a row that match, from the first to the last of them for as long as the rule says."""
    group = _names(rule)
    over = f"PARTITION BY {_partition(group)} ORDER BY timestamp"
    marked = (
        f"SELECT *, {where(rule.detection)} AS matches, countIf(NOT matches) OVER ({over}) AS stretch\n"
        f"FROM ({_signals(rule.source, since_s)})\nWHERE {_all(_grouped(rule))}"
    )
    return _summed(
        f"{marked}", group, ["stretch"], "count() AS signals", where_="matches",
        having=f"dateDiff('millisecond', first_at, last_at) >= {rule.for_ms}",
    )  # fmt: skip


def _counted(correlation: Correlation) -> tuple[str, str]:
    """What is counted within each window, and what it has to reach."""
    threshold = correlation.threshold
    if correlation.kind is Kind.CHANGE:
        return f"{correlation.field} - min({correlation.field}) OVER within", literal(correlation.rise)
    if correlation.kind is Kind.EVENT_COUNT:
        return "count() OVER within", literal(threshold.least)
    return f"uniqExact({correlation.field}) OVER within", _needed(threshold)


def _needed(threshold: Threshold) -> str:
    if not threshold.of:
        return literal(threshold.least)
    population = _POPULATION if threshold.of == FLEET else None
    part = f"ceil({threshold.share!r} * ({population}))" if population else f"ceil({threshold.share!r} * ifNull(of_node, 0))"
    return f"greatest({threshold.least}, {f'least({part}, {threshold.enough})' if threshold.enough else part})"


def _steps(rule: Rule, since_s: int) -> str:
    group = rule.correlation.group_by
    columns = ", ".join(["timestamp", *group])
    return "\nUNION ALL\n".join(
        f"SELECT {columns}, {number} AS step\nFROM ({_signals(step.source, since_s)})\n"
        f"WHERE {_all((where(step.selection), *_grouped(rule)))}"
        for number, step in enumerate(rule.correlation.steps)
    )


def _sequence(rule: Rule) -> tuple[str, str]:
    steps = len(rule.correlation.steps)
    if rule.kind is Kind.TEMPORAL:
        return "uniqExact(step) OVER within", str(steps)
    conditions = ", ".join(f"step = {number}" for number in range(steps))
    return f"windowFunnel({rule.correlation.timespan_ms + 1})(toUInt64(at), {conditions}) OVER within", str(steps)


def _runs(rows: str, rule: Rule, counted: tuple[str, str]) -> str:
    """The windows that reach what is needed; those of them that follow within a timespan are one finding."""
    reached, needed = counted
    group, span_ms = rule.correlation.group_by, rule.correlation.timespan_ms
    by = _partition(group)
    windows = (
        f"SELECT *, toUnixTimestamp64Milli(timestamp) AS at, min(timestamp) OVER within AS began, {reached} AS reached\n"
        f"FROM (\n{_indented(rows)}\n)\n"
        f"WINDOW within AS (PARTITION BY {by} ORDER BY at RANGE BETWEEN {span_ms} PRECEDING AND CURRENT ROW)"
    )
    nodes = f"\nLEFT JOIN ({_POPULATION_BY_NODE}) AS node USING (node_id)" if "of_node" in needed else ""
    hits = f"SELECT *\nFROM (\n{_indented(windows)}\n) AS window{nodes}\nWHERE reached >= {needed}"
    apart = (
        f"SELECT *, at - lagInFrame(at, 1, at) OVER (PARTITION BY {by} ORDER BY at) > {span_ms} AS begins\n"
        f"FROM (\n{_indented(hits)}\n)"
    )
    numbered = f"SELECT *, sum(begins) OVER (PARTITION BY {by} ORDER BY at) AS finding\nFROM (\n{_indented(apart)}\n)"
    return _summed(numbered, group, ["finding"], "max(reached) AS most", first="began")


_POPULATION_BY_NODE = _POPULATION.replace("SELECT count()", "SELECT node_id, count() AS of_node") + " GROUP BY node_id"


def _absent(rule: Rule, since_s: int) -> str:
    """Detections after which nothing that is expected came within the timespan."""
    span_ms, expected = rule.correlation.timespan_ms, rule.correlation.expected
    awaited = where(rule.detection if expected is None else expected)
    marked = (
        f"SELECT *, {where(rule.detection)} AS detected, toUnixTimestamp64Milli(timestamp) AS at,\n"
        f"    countIf({awaited}) OVER (PARTITION BY {_partition(_names(rule))} ORDER BY at\n"
        f"        RANGE BETWEEN 1 FOLLOWING AND {span_ms} FOLLOWING) AS came\n"
        f"FROM ({_signals(rule.source, since_s)})\nWHERE {_all(_grouped(rule))}"
    )
    is_over = f"timestamp <= now64(3) - toIntervalMillisecond({span_ms})"
    columns = ", ".join([*_names(rule), "timestamp"])
    return f"SELECT {columns}\nFROM (\n{_indented(marked)}\n)\nWHERE detected AND came = 0 AND {is_over}\nORDER BY timestamp"


def _summed(
    rows: str,
    group: Iterable[str],
    by: list[str],
    measure: str,
    *,
    first: str = "timestamp",
    where_: str = "",
    having: str = "",
) -> str:
    names = [*group]
    lines = [
        f"SELECT {', '.join([*names, f'min({first}) AS first_at', 'max(timestamp) AS last_at', measure])}",
        f"FROM (\n{_indented(rows)}\n)",
        f"WHERE {where_}" if where_ else "",
        f"GROUP BY {', '.join([*names, *by])}",
        f"HAVING {having}" if having else "",
        "ORDER BY first_at",
    ]
    return "\n".join(line for line in lines if line)


def _names(rule: Rule) -> tuple[str, ...]:
    return rule.correlation.group_by


def _grouped(rule: Rule) -> list[str]:
    """A signal that lacks a value that the rule groups by is left out."""
    return [f"{name} IS NOT NULL" for name in _names(rule)]


def _partition(group: Iterable[str]) -> str:
    return ", ".join(group) or "1"


def _all(conditions: Iterable[str]) -> str:
    return " AND ".join(f"({each})" if " OR " in each else each for each in conditions)


def _indented(text: str) -> str:
    return "\n".join(f"    {line}" for line in text.splitlines() if line)
