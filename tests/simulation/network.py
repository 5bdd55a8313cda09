"""What lies between a sender and a receiver: delay, loss, duplicates, and so another order. Seeded, with no clock."""

from __future__ import annotations

from dataclasses import dataclass
from random import Random


@dataclass(frozen=True, slots=True)
class Network:
    """``loss`` and ``duplicates`` are probabilities; most delays are short, a few up to ``delay_ms``."""

    loss: float
    duplicates: float
    delay_ms: int

    def arrivals(self, random: Random, sent_ms: int) -> list[int]:
        """When what is sent now arrives; empty where it is lost."""
        if random.random() < self.loss:
            return []
        copies = 2 if random.random() < self.duplicates else 1
        return [sent_ms + self._delay_ms(random) for _ in range(copies)]

    def _delay_ms(self, random: Random) -> int:
        return int(self.delay_ms * random.random() ** 4)


def a_network(random: Random) -> Network:
    """Often a good one."""
    if random.random() < 0.3:
        return Network(0.0, 0.0, 20)
    return Network(random.choice((0.0, 0.05, 0.3)), random.choice((0.0, 0.1, 0.5)), random.choice((50, 500, 4_000)))
