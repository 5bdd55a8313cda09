"""A budget per key: a token bucket by the generic cell rate algorithm (ITU-T I.371), one number a key."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Budget:
    """``burst`` requests at once, refilled at ``rate_per_s``. ``name`` is what clients and metrics see."""

    name: str
    rate_per_s: float
    burst: int


class TokenBuckets:
    """The buckets of one budget, at most ``max_keys``. Those longest unused are dropped: they are full, or will soon be."""

    def __init__(self, budget: Budget, max_keys: int) -> None:
        self.budget = budget
        self._cost_s = 1 / budget.rate_per_s
        self._depth_s = budget.burst / budget.rate_per_s
        self._half_keys = max(1, max_keys // 2)
        # When each bucket is full again (s), in two generations, so that dropping is one assignment.
        self._young: dict[str, float] = {}
        self._old: dict[str, float] = {}

    def take(self, key: str, now_s: float, cost: int = 1) -> float:
        """Take ``cost`` tokens. Returns 0.0, or how many seconds until there are enough; then nothing is taken."""
        full_at = max(self._young.get(key) or self._old.get(key, 0.0), now_s)
        wait_s = full_at + cost * self._cost_s - now_s - self._depth_s
        # A time in seconds since the epoch leaves a float some tenths of a microsecond.
        if wait_s < 1e-6:
            wait_s = 0.0
            full_at += cost * self._cost_s
        if len(self._young) >= self._half_keys and key not in self._young:
            self._young, self._old = {}, self._young
        # A refusal too, or a key could wait among the refused until it is dropped and has its budget back.
        self._young[key] = full_at
        return wait_s

    def left(self, key: str, now_s: float) -> int:
        """How many tokens the key has now."""
        full_at = max(self._young.get(key) or self._old.get(key, 0.0), now_s)
        return int((self._depth_s - (full_at - now_s)) * self.budget.rate_per_s + 1e-3)

    def is_half_full(self, key: str, now_s: float) -> bool:
        """Whether the key has at least half of its tokens."""
        full_at = self._young.get(key) or self._old.get(key, 0.0)
        return 2 * (full_at - now_s) <= self._depth_s

    def __len__(self) -> int:
        """How many buckets are kept."""
        return len(self._young) + len(self._old)
