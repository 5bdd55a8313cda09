"""What the agents must pass on: the prefilter of stage A, without state."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from processors.alerting.signals import LIVENESS, SOURCES
from processors.rules.language import CLIENT, NODE
from processors.rules.model import RuleSet
from processors.rules.selection import Predicate, predicate

# An agent may ask before it knows the node, so what is said of these is left to the engine.
UNSEEN = (CLIENT, NODE)


class Interest:
    """Whether any rule wants to see a signal. Changes of liveness are always wanted: shares count the population."""

    def __init__(self, ruleset: RuleSet) -> None:
        self._by_source = {source: _wanted(ruleset, source) for source in SOURCES}

    def wants(self, source: str, fields: Mapping[str, Any]) -> bool:
        """Whether to pass on a signal of a source with these fields."""
        return source == LIVENESS or any(holds(fields) for holds in self._by_source[source])


def _wanted(ruleset: RuleSet, source: str) -> tuple[Predicate, ...]:
    selections = {selection.without(UNSEEN) for rule in ruleset.of_source(source) for selection in rule.selections(source)}
    return tuple(predicate(selection) for selection in sorted(selections, key=repr))
