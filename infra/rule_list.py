"""The rules of a file, for people to read."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

from infra.errors import RulesFaulty
from processors.errors import RulesInvalid
from processors.rules.loading import read_rules
from processors.rules.model import RuleSet

_RULE = "{:<24}{:<10}{:<12}{:<18}{:<28}{}"
_HEADINGS = ("rule", "severity", "source", "type", "groups", "title")


def read(file: Path | None) -> RuleSet:
    """The rules of a file; by default those that the processors take. Raises RulesFaulty."""
    setting = os.environ.get("VIWORKS_RULES")
    path = file or (Path(setting) if setting else None)
    try:
        return read_rules(path)
    except RulesInvalid as invalid:
        raise RulesFaulty(f"{path} has faults: none of its rules is used until they are mended.", invalid.faults) from None


def rule_table(rules: RuleSet) -> Iterator[str]:
    """A line for each rule below the headings."""
    yield _RULE.format(*_HEADINGS)
    for rule in rules.rules:
        groups = ", ".join(rule.groups) or "-"
        yield _RULE.format(rule.id, rule.severity, rule.source, rule.kind.value, groups, rule.title)
