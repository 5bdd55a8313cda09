"""What a run has done so far: counted, never kept one by one."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from statistics import median

from fleet.exchange import Answer, Exchange
from fleet.histogram import Histogram

_MOST_SECONDS = 7 * 86_400


class Tally:
    """Counts of one run. ``started_ms`` is when it began, by the clock of all its times.

    Attributes:
        sent: attempts by kind.
        accepted: by kind; of a batch the lines, under their own kinds.
        verdicts: every answer that was no success, by (kind, status, problem); status 0 is no answer.
        latencies: of what was accepted, by kind, from when it was due.
        answers: how long after it was written to a connection a request had its answer, whatever that was.
        lateness: how long after it was due a request was made.
        notes: what else is counted, by name.
    """

    def __init__(self, started_ms: float) -> None:
        self.started_ms = started_ms
        self.sent: Counter[str] = Counter()
        self.accepted: Counter[str] = Counter()
        self.verdicts: Counter[tuple[str, int, str]] = Counter()
        self.latencies: dict[str, Histogram] = {}
        self.answers = Histogram()
        self.lateness = Histogram()
        self.notes: Counter[str] = Counter()
        self._each_second: list[int] = []

    def count_sent(self, exchange: Exchange, now_ms: float) -> None:
        """An attempt, at the moment at which it was made."""
        self.sent[exchange.kind] += 1
        self.lateness.add(now_ms - exchange.due_ms)
        if exchange.again:
            self.notes["retries"] += 1
        second = int((now_ms - self.started_ms) // 1000)
        if 0 <= second < _MOST_SECONDS:
            while len(self._each_second) <= second:
                self._each_second.append(0)
            self._each_second[second] += 1

    def count_answer(self, exchange: Exchange, answer: Answer, now_ms: float) -> None:
        """What came of an attempt."""
        if answer.status:
            self.answers.add(now_ms - exchange.sent_ms)
        if 200 <= answer.status < 300:
            self.accepted[exchange.kind] += 1
            self.latency(exchange.kind).add(now_ms - exchange.due_ms)
        else:
            problem = answer.problem() if answer.status else "no-answer"
            self.verdicts[exchange.kind, answer.status, problem] += 1

    def latency(self, kind: str) -> Histogram:
        """The latencies of a kind."""
        return self.latencies.setdefault(kind, Histogram())

    def rates(self, from_s: int = 0, to_s: int | None = None) -> Sequence[int]:
        """Attempts in each whole second of the run, or of a part of it."""
        return self._each_second[from_s:to_s]

    def steady_per_s(self, from_s: int = 0, to_s: int | None = None) -> float:
        """The median of the rates."""
        return float(median(self.rates(from_s, to_s) or [0]))

    def peak_per_s(self, from_s: int = 0, to_s: int | None = None) -> int:
        """The highest of the rates."""
        return max(self.rates(from_s, to_s), default=0)
