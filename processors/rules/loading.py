"""Reads a file of rules, whole or not at all."""

from __future__ import annotations

from importlib import resources
from pathlib import Path

from processors.errors import RulesInvalid
from processors.rules.language import LIMITS, MAX_RULES
from processors.rules.model import Rule, RuleSet
from processors.rules.nodes import Members, is_sequence, shown
from processors.rules.rule_reader import read_rule
from processors.yaml_nodes import Faults, compose, read_bounded

SHIPPED = "default.yaml"


def load_rules(text: str, name: str) -> RuleSet:
    """The rules of a text. Raises RulesInvalid, whose text has ``name:line: sentence`` for every fault."""
    faults = Faults(name)
    rules = _read(text, faults)
    if len(faults):
        raise RulesInvalid(faults.lines())
    return RuleSet(rules)


def read_rules(path: Path | None) -> RuleSet:
    """The rules of a file; None for those that come with the package. Raises RulesInvalid."""
    if path is None:
        return load_rules(resources.files("processors.rules").joinpath(SHIPPED).read_text("utf-8"), SHIPPED)
    return load_rules(_text(path), str(path))


def check(path: Path) -> list[str]:
    """What is wrong with a file, a line a fault; empty where nothing is."""
    try:
        read_rules(path)
    except RulesInvalid as invalid:
        return list(invalid.faults)
    return []


def _text(path: Path) -> str:
    try:
        return read_bounded(path, LIMITS).decode()
    except OSError as error:
        raise RulesInvalid([f"{path}:1: the file cannot be read: {error.strerror}"]) from error
    except UnicodeDecodeError as error:
        raise RulesInvalid([f"{path}:1: the file is not UTF-8"]) from error


def _read(text: str, faults: Faults) -> list[Rule]:
    root = compose(text.encode(errors="surrogatepass"), faults, LIMITS)
    if root is None:
        if not len(faults):
            faults.add(1, "the file is empty; a file without rules says `rules: []`")
        return []
    members = Members(root, faults, "the file")
    node = members.require("rules")
    members.finish()
    if node is None:
        return []
    if not is_sequence(node) or len(node.value) > MAX_RULES:
        faults.add(node, f"rules must be a list of at most {MAX_RULES} rules")
        return []
    return _together([read_rule(each, faults) for each in node.value], faults)


def _together(found: list[Rule | None], faults: Faults) -> list[Rule]:
    """What can be checked once all rules are known."""
    rules = [rule for rule in found if rule is not None]
    lines: dict[str, int] = {}
    for rule in rules:
        if rule.id and rule.id in lines:
            faults.add(rule.line, f"the id {shown(rule.id)} stands in line {lines[rule.id]} already")
        lines.setdefault(rule.id, rule.line)
    for rule in rules:
        for name in rule.groups:
            if name not in lines or name == rule.id:
                faults.add(rule.line, f"groups names {shown(name)}, which is no other rule of the file")
    return rules
