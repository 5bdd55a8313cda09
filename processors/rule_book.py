"""The rules in force: read once at the start, and again when their file has changed. All agents of a worker share them."""

from __future__ import annotations

import logging
from pathlib import Path

from processors.errors import RulesInvalid
from processors.rules.interest import Interest
from processors.rules.loading import read_rules
from processors.rules.metric_watch import MetricWatch
from processors.rules.model import RuleSet

log = logging.getLogger(__name__)


class RuleBook:
    """``path`` is the file; None for the rules that are shipped.

    Attributes:
        rules: in force now.
        interest, metrics: what agents look over what they carry with.

    Raises:
        RulesInvalid: the file cannot be read, or has faults; its text lists them by line.
    """

    def __init__(self, path: Path | None) -> None:
        self._path = path
        self._seen = _seen(path) if path else None
        self._use(read_rules(path))

    def refresh(self) -> bool:
        """Read the file again where it has changed; whether other rules are in force. A bad file changes nothing."""
        if self._path is None:
            return False
        seen = _seen(self._path)
        if seen == self._seen:
            return False
        self._seen = seen
        try:
            self._use(read_rules(self._path))
        except RulesInvalid as error:
            log.error("the rules stay as they are: the file has faults\n%s", error)
            return False
        log.info("%d rules are in force", len(self.rules.rules))
        return True

    def _use(self, rules: RuleSet) -> None:
        self.rules = rules
        self.interest = Interest(rules)
        self.metrics = MetricWatch(rules)


def _seen(path: Path) -> tuple[int, ...] | None:
    """What tells one state of a file from another without reading it; None where there is none."""
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_mtime_ns, found.st_size, found.st_ino
