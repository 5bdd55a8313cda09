"""Which class watches which kind of rule."""

from __future__ import annotations

from processors.rules.counting import ChangeWatch, EventCountWatch, SequenceWatch, ValueCountWatch
from processors.rules.language import Kind
from processors.rules.matching import AbsenceWatch, MatchWatch
from processors.rules.model import Rule
from processors.rules.population import Population
from processors.rules.watch import Watch

_WATCHES: dict[Kind, type[Watch]] = {
    Kind.MATCH: MatchWatch,
    Kind.EVENT_COUNT: EventCountWatch,
    Kind.VALUE_COUNT: ValueCountWatch,
    Kind.TEMPORAL: SequenceWatch,
    Kind.TEMPORAL_ORDERED: SequenceWatch,
    Kind.ABSENCE: AbsenceWatch,
    Kind.CHANGE: ChangeWatch,
}


def watch(rule: Rule, population: Population) -> Watch:
    """The rule, compiled. Shares count of ``population``."""
    return _WATCHES[rule.kind](rule, population)
