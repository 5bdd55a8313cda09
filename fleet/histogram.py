"""Durations in buckets that grow with them, so that any number of samples takes the same memory.

The layout is that of HdrHistogram (Gil Tene): powers of two, each in equal parts; here 64 of them, so a figure is at most
1/64 too high and never too low.
"""

from __future__ import annotations

_PARTS_BITS = 6
_PARTS = 1 << _PARTS_BITS


class Histogram:
    """Durations in milliseconds; kept to the microsecond below a tenth of a millisecond."""

    def __init__(self) -> None:
        self._counts: dict[int, int] = {}
        self.count = 0
        self.max_ms = 0.0

    def add(self, duration_ms: float) -> None:
        """Note one; a negative one, of clocks that differ, counts as none."""
        value_us = max(0, int(duration_ms * 1000))
        shift = max(0, value_us.bit_length() - _PARTS_BITS - 1)
        bucket = (shift << _PARTS_BITS) + (value_us >> shift)
        self._counts[bucket] = self._counts.get(bucket, 0) + 1
        self.count += 1
        self.max_ms = max(self.max_ms, duration_ms)

    def percentile_ms(self, percent: float) -> float:
        """The duration that so many per cent do not exceed; 0.0 where there is no sample."""
        wanted, seen = self.count * percent / 100, 0
        for bucket in sorted(self._counts):
            seen += self._counts[bucket]
            if seen >= wanted:
                return min(self.max_ms, _upper_us(bucket) / 1000)
        return self.max_ms

    def summary(self) -> dict[str, float]:
        """p50, p95, p99 and the longest."""
        found = {f"p{percent}": round(self.percentile_ms(percent), 2) for percent in (50, 95, 99)}
        return {**found, "max": round(self.max_ms, 2)}


def _upper_us(bucket: int) -> int:
    """The first value above the bucket. Buckets below two powers hold one value each."""
    if bucket < 2 * _PARTS:
        return bucket + 1
    shift = (bucket >> _PARTS_BITS) - 1
    return ((bucket - (shift << _PARTS_BITS)) + 1) << shift
