"""Files of rules: what is read, and that every fault has its line."""

from __future__ import annotations

import random
from pathlib import Path

import pytest

from processors.errors import RulesInvalid
from processors.rules import loading
from processors.rules.language import LIMITS, Kind
from processors.rules.loading import check, load_rules, read_rules
from processors.rules.model import Hours, Mute
from tests.processors.rules.feed import DAY, HOUR, MINUTE

SHIPPED = Path(loading.__file__).with_name("default.yaml").read_text("utf-8")

WHOLE = """\
rules:
- id: r
  title: T
  severity: high
  source: events
  detection:
    event_type: [system_error, policy_violation]
    error_code|not|startswith: "E"
    severity|not: low
    source_ip|exists: true
  correlation:
    type: value_count
    field: client_id
    group_by: [node_id]
    timespan: 90s
    condition: {gte: 2, share: 0.5, of: node, enough: 9, until_below: 1}
  for: 5m
  clear: {event_type: connection_attempt}
  resolve_after: 1h
  dedup_key: [node_id, day]
  summary: "{count} of {population}"
  groups: [other]
  mute: {client_id: [a, b], node_id: n, hours: "22:00-06:00"}
- {id: other, title: T, severity: signal, source: liveness, detection: {node_id: null}}
"""


def faults(text: str) -> list[str]:
    with pytest.raises(RulesInvalid) as invalid:
        load_rules(text, "r.yaml")
    assert str(invalid.value) == "\n".join(invalid.value.faults)
    return list(invalid.value.faults)


def test_a_rule_with_everything() -> None:
    rules = load_rules(WHOLE, "r.yaml")
    rule = rules.rule("r")
    assert rule
    assert [each.id for each in rules.rules] == ["r", "other"]
    assert rules.rule("nobody") is None
    assert (rule.kind, rule.for_ms, rule.resolve_after_ms) == (Kind.VALUE_COUNT, 5 * MINUTE, HOUR)
    assert rule.correlation.threshold == (2, 0.5, "node", 9, 1)
    assert rule.correlation.timespan_ms == 90_000
    assert rule.mute == Mute(frozenset("ab"), frozenset("n"), Hours(22 * 60, 6 * 60))
    assert (rule.groups, rule.dedup_key, rule.line) == (("other",), ("node_id", "day"), 2)


def test_what_is_left_out_has_its_default() -> None:
    text = """\
rules:
- {id: a, title: T, severity: low, source: events, detection: {}}
- {id: b, title: T, severity: low, source: events, detection: {}, clear: {severity: low}}
- id: c
  title: T
  severity: low
  source: events
  detection: {}
  correlation: {type: event_count, timespan: 1d, condition: {gte: 3}}
"""
    a, b, c = load_rules(text, "r.yaml").rules
    assert (a.kind, a.correlation.group_by, a.resolve_after_ms, a.summary) == (Kind.MATCH, ("client_id",), HOUR, "{title}")
    assert b.resolve_after_ms is None
    assert (c.correlation.group_by, c.resolve_after_ms) == (("client_id",), DAY)


def test_the_mute_holds_where_all_that_it_names_does() -> None:
    night = Mute(frozenset("c"), frozenset(), Hours(22 * 60, 6 * 60))
    assert night.holds("c", None, 23 * HOUR)
    assert night.holds("c", None, DAY + 6 * HOUR - 1)
    assert not night.holds("c", None, 6 * HOUR)
    assert not night.holds("d", None, 23 * HOUR)
    assert not Mute().holds("c", "n", 0)
    assert Mute(node_ids=frozenset("n")).holds("d", "n", 0)
    assert not Mute(node_ids=frozenset("n")).holds("d", None, 0)
    assert Hours(60, 120).contain(HOUR)
    assert not Hours(60, 120).contain(2 * HOUR)


CHANGES = [
    # (what stands in WHOLE, what takes its place, the line of the fault, a word of its sentence)
    ("- id: r\n", "- id: R\n", 2, "id must begin"),
    ("- id: r\n", "- id: other\n", 24, "line 2 already"),
    ("- id: r\n", "- idd: r\n", 2, "'idd' is unknown in rule"),
    ("- id: r\n", "- id: r\n  id: r\n", 3, "'id' stands twice in rule"),
    ("- id: r\n", "- 5\n- id: r\n", 2, "rule must be a mapping"),
    ("- id: r\n", "- [1]: 2\n  id: r\n", 2, "a key of rule must be text"),
    ("title: T\n", "title: ''\n", 3, "title must be one line"),
    ("title: T\n", "title: 5\n", 3, "title must be one line"),
    ("title: T\n", 'title: "a\\nb"\n', 3, "title must be one line"),
    ("severity: high", "severity: hihg", 4, "severity must be one of info, low"),
    ("source: events", "source: event", 5, "source must be one of events, liveness"),
    ("event_type: [", "event_typ: [", 7, "source events has no field 'event_typ'"),
    ("system_error,", "sytem_error,", 7, "event_type is never 'sytem_error'"),
    ("system_error,", "5,", 7, "the value must be text; put it in quotes"),
    ("system_error,", "yes,", 7, "the value must be text; put it in quotes"),
    ("[system_error, policy_violation]", "[]", 7, "1 to 1000 values"),
    ("|not|startswith", "|startswith|not", 8, "is no modifier"),
    ("|not|startswith", "|re", 8, "'re' is no modifier; there are not and one of gt, gte"),
    ("|not|startswith", "|gt", 8, "gt does not go with error_code, which holds text"),
    ("exists: true", "exists: 1", 10, "the value must be true or false"),
    ("exists: true", "exists: [true, false]", 10, "one value is needed"),
    ("type: value_count", "type: value_sum", 12, "type must be one of match, event_count"),
    ("    type: value_count\n", "", 12, "correlation needs type"),
    ("    field: client_id\n", "", 12, "correlation needs field"),
    ("field: client_id", "field: client", 13, "no field 'client'"),
    ("group_by: [node_id]", "group_by: node_id", 14, "group_by must be a list"),
    ("group_by: [node_id]", "group_by: [nod_id]", 14, "no field 'nod_id'"),
    ("group_by: [node_id]", "group_by: []", 16, "of: node needs node_id in group_by"),
    ("timespan: 90s", "timespan: 90", 15, "timespan must be a number and ms, s"),
    ("timespan: 90s", "timespan: 0s", 15, "more than nothing and at most 30d"),
    ("timespan: 90s", "timespan: 31d", 15, "more than nothing and at most 30d"),
    ("timespan: 90s", "timespan: 1w", 15, "timespan must be a number and ms, s"),
    ("    timespan: 90s\n", "", 12, "correlation needs timespan"),
    ("{gte: 2,", "{gt: 2,", 16, "'gt' is unknown in condition"),
    ("{gte: 2,", "{gte: 0,", 16, "gte must be a whole number from 1 to 100000"),
    ("{gte: 2,", "{gte: 1.5,", 16, "gte must be a whole number"),
    ("{gte: 2,", "{gte: 0o17,", 16, "gte must be a whole number"),
    ("share: 0.5", "share: 50", 16, "share must be a number"),
    ("share: 0.5", "share: 1:30", 16, "share must be a number"),
    (" of: node,", "", 16, "share needs of: fleet or node"),
    ("of: node,", "of: world,", 16, "of must be fleet or node"),
    ("enough: 9", "enough: 1", 16, "enough must be a whole number from 2"),
    ("until_below: 1", "until_below: 3", 16, "until_below must be a whole number from 1 to 2"),
    ("for: 5m", "for: five", 17, "for must be a number and ms"),
    ("for: 5m", "for: 0s", 17, "for must be more than nothing"),
    ("clear: {event_type: connection_attempt}", "clear: {event: x}", 18, "no field 'event'"),
    ("clear: {event_type: connection_attempt}", "clear: []", 18, "clear has no alternatives"),
    ("resolve_after: 1h", "resolve_after: 40d", 19, "resolve_after must be 0s and at most 30d"),
    ("[node_id, day]", "[node_id, days]", 20, "no field 'days'"),
    ("[node_id, day]", "node_id", 20, "dedup_key must be a list"),
    ("{count} of", "{counts} of", 21, "the summary cannot name 'counts'; here it may name client_id, count"),
    ("{count} of", "{event_type} of", 21, "the summary cannot name 'event_type'"),
    ("{count} of", "{count of", 21, "a brace in the summary"),
    ("groups: [other]", "groups: [others]", 2, "groups names 'others', which is no other rule"),
    ("groups: [other]", "groups: [r]", 2, "groups names 'r', which is no other rule"),
    ("groups: [other]", "groups: {other: 1}", 22, "groups must be a list of text"),
    ("22:00-06:00", "22-06", 23, "hours must be from and to"),
    ("22:00-06:00", "24:00-06:00", 23, "hours must be from and to"),
    ("node_id: n,", "node: n,", 23, "'node' is unknown in mute"),
    ("rules:\n", "rule:\n", 1, "'rule' is unknown in the file"),
    ("rules:\n", "rules:\n- {}\n", 2, "rule needs source"),
    ("[other]", "&a [other]", 22, "anchors and aliases are not allowed"),
    ("[other]", "!!python/name:os.system [other]", 22, "tags are not allowed"),
    ("[other]", "[" * 20, 22, "nested too deeply"),
    ("[other]", "[other", 23, "not YAML"),
    ("[other]", "[other\x00]", 1, "characters that no text has"),
    ("[other]", "[other\ud800]", 1, "characters that no text has"),
    ("- {id: other", "---\n- {id: other", 24, "a second document"),
    ("  detection:\n", "  detection: 5\n  x:\n", 6, "detection must be a mapping"),
]  # fmt: skip


@pytest.mark.parametrize(("before", "after", "line", "sentence"), CHANGES)
def test_a_fault_has_its_line(before: str, after: str, line: int, sentence: str) -> None:
    assert before in WHOLE
    found = faults(WHOLE.replace(before, after, 1))
    assert any(each.startswith(f"r.yaml:{line}: ") and sentence in each for each in found), found


OF_KINDS = [
    ("{type: match, timespan: 5s}", "a match has no timespan"),
    ("{type: event_count, timespan: 5s, field: client_id, condition: {gte: 1}}", "'field' is unknown"),
    ("{type: event_count, timespan: 5s}", "correlation needs condition"),
    ("{type: temporal, timespan: 5s, steps: [{name: a, detection: {}}]}", "2 to 16 detections"),
    ("{type: temporal, timespan: 5s, steps: [{name: a, detection: {}}, {name: a, detection: {}}]}", "'a' stands twice"),
    ("{type: temporal, timespan: 5s, steps: [{name: A, detection: {}}, {name: b}]}", "the name of a step"),
    (
        "{type: temporal, timespan: 5s, steps: [{name: a, source: x, detection: {}}, {name: b, detection: {}}]}",
        "source must be",
    ),
    ("{type: temporal, timespan: 5s}", "temporal has a detection in each step, and none beside them"),
    ("{type: change, timespan: 5s, field: status, condition: {gte: 1}}", "status is not a number"),
    ("{type: change, timespan: 5s, field: cpu_usage, condition: {gte: -1}}", "gte must be a number more than 0"),
    ("{type: absence, timespan: 5s, expected: {x: 1}}", "no field 'x'"),
    ("{type: absence, timespan: 5s, condition: {gte: 1}}", "'condition' is unknown"),
]


@pytest.mark.parametrize(("correlation", "sentence"), OF_KINDS)
def test_what_does_not_go_with_a_kind_is_a_fault(correlation: str, sentence: str) -> None:
    head = "rules:\n- id: r\n  title: T\n  severity: low\n  source: heartbeats\n  detection: {}\n"
    found = faults(f"{head}  correlation: {correlation}\n")
    assert any(sentence in each for each in found), found


def test_for_and_clear_go_only_where_they_mean_something() -> None:
    head = "rules:\n- id: r\n  title: T\n  severity: low\n  source: events\n  detection: {}\n"
    count = "  correlation: {type: event_count, timespan: 5s, condition: {gte: 2}}\n"
    absence = "  correlation: {type: absence, timespan: 5s}\n"
    assert "for needs clear" in faults(f"{head}  for: 5m\n")[0]
    assert "clear goes with match and value_count" in faults(f"{head}{count}  clear: {{}}\n")[0]
    assert "for has no meaning" in faults(f"{head}{absence}  for: 5m\n")[0]


def test_all_faults_are_told_at_once_in_the_order_of_their_lines() -> None:
    text = WHOLE.replace("high", "hihg").replace("90s", "90").replace("22:00", "25:00")
    assert [fault.split(":")[1] for fault in faults(text)] == ["4", "15", "23"]


def test_a_fault_shows_little_of_the_file_and_breaks_no_line() -> None:
    [fault] = faults(WHOLE.replace("source_ip|exists", f'"{"x" * 500}\\n\\e[31m"', 1))
    assert len(fault) < 120
    assert fault.isprintable()


@pytest.mark.parametrize("text", ["", "# nothing", "5", "[]", "rules:", "rules: 5", "rules: {a: 1}"])
def test_a_file_without_rules_says_so(text: str) -> None:
    assert faults(text)


def test_no_rules_at_all_are_allowed() -> None:
    assert load_rules("rules: []", "r.yaml").rules == ()


def test_limits() -> None:
    rule = "- {id: r%d, title: T, severity: low, source: events, detection: {}}\n"
    assert len(load_rules("rules:\n" + "".join(rule % n for n in range(1_000)), "r.yaml").rules) == 1_000
    assert "at most 1000 rules" in faults("rules:\n" + "".join(rule % n for n in range(1_001)))[0]
    assert "larger than" in faults("#" * (LIMITS.bytes + 1))[0]
    assert "larger than" in faults("ä" * (LIMITS.bytes // 2 + 1))[0]


def test_files(tmp_path: Path) -> None:
    file = tmp_path / "rules.yaml"
    file.write_text(WHOLE)
    assert check(file) == []
    assert len(read_rules(file).rules) == 2
    file.write_text(WHOLE.replace("high", "hihg"))
    assert [line.startswith(f"{file}:4: severity") for line in check(file)] == [True]
    file.write_bytes(b"\xff\xfe rules")
    assert check(file) == [f"{file}:1: the file is not UTF-8"]
    assert "cannot be read" in check(tmp_path)[0]
    assert "cannot be read" in check(tmp_path / "none")[0]
    assert "larger than" in check(Path("/dev/zero"))[0]


def mutated(random_: random.Random, text: str) -> str:
    """A file that somebody has damaged in a few places."""
    for _ in range(random_.randint(1, 4)):
        at, length = random_.randrange(len(text)), random_.choice((0, 1, 1, 3, 20))
        junk = random_.choice(
            ("", " ", "\n", ":", "- ", "{", "}", "[", "]", "|", "\t", '"', "'", "#", "&a ", "*a", "!!set ", "?", "%", "\x07",
             "null", "1e999", "-", "99999999999999999999", "0x1f", "~", "true", "<<: ", "\U0001f40d", "\ud800")
        )  # fmt: skip
        text = text[:at] + junk + text[at + length :]
    lines = text.split("\n")
    if random_.random() < 0.3:
        first, second = random_.randrange(len(lines)), random_.randrange(len(lines))
        lines[first], lines[second] = lines[second], lines[first]
    return "\n".join(lines)


def faults_of(text: str) -> tuple[str, ...]:
    try:
        load_rules(text, "r.yaml")
    except RulesInvalid as invalid:
        return invalid.faults
    return ()


def test_a_damaged_file_is_refused_and_nothing_worse() -> None:
    refused = 0
    for seed in range(1_500):
        random_ = random.Random(seed)
        text = mutated(random_, WHOLE if seed % 10 else SHIPPED)
        found = faults_of(text)
        refused += bool(found)
        assert all(fault.startswith("r.yaml:") for fault in found)
    assert refused > 500
