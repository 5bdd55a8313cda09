"""Runs of entries that fit a window, in whatever order they came. Pure functions over entries in order of time."""

from __future__ import annotations

from collections.abc import Sequence

from processors.rules.groups import Entry


def full_run(entries: Sequence[Entry], at: int, count: int, window_ms: int) -> Sequence[Entry]:
    """The earliest ``count`` entries in a row that hold the one at ``at`` and fit the window; empty where there are none."""
    for start in range(max(0, at - count + 1), min(at, len(entries) - count) + 1):
        if entries[start + count - 1].timestamp - entries[start].timestamp <= window_ms:
            return entries[start : start + count]
    return ()


def all_steps(entries: Sequence[Entry], at: int, steps: int, window_ms: int) -> Sequence[Entry]:
    """The earliest window that holds the entry at ``at`` and one of each step, as the first entries of each step."""
    moment = entries[at].timestamp
    for start in range(len(entries)):
        first = entries[start].timestamp
        if first > moment:
            break
        if moment - first <= window_ms:
            found = _first_of_each(entries, start, first + window_ms)
            if len(found) == steps:
                return sorted(found.values())
    return ()


def _first_of_each(entries: Sequence[Entry], start: int, until: int) -> dict[float, Entry]:
    found: dict[float, Entry] = {}
    for index in range(start, len(entries)):
        if entries[index].timestamp > until:
            break
        found.setdefault(entries[index].number, entries[index])
    return found


def ordered_steps(entries: Sequence[Entry], at: int, steps: int, window_ms: int) -> Sequence[Entry]:
    """The earliest steps 0, 1, … one after the other within the window, near the entry at ``at``."""
    moment = entries[at].timestamp
    for start, entry in enumerate(entries):
        if entry.timestamp > moment:
            break
        if entry.number == 0 and moment - entry.timestamp <= window_ms:
            chain = _chain(entries, start, steps, entry.timestamp + window_ms)
            if len(chain) == steps:
                return chain
    return ()


def _chain(entries: Sequence[Entry], start: int, steps: int, until: int) -> list[Entry]:
    chain: list[Entry] = []
    for index in range(start, len(entries)):
        if len(chain) == steps or entries[index].timestamp > until:
            break
        if entries[index].number == len(chain):
            chain.append(entries[index])
    return chain


def largest_rise(entries: Sequence[Entry], at: int, rise: float, window_ms: int) -> Sequence[Entry]:
    """Two samples, of which the later is greater by ``rise`` at least, where the one at ``at`` made the difference.

    A sample counts until the next one, so the last one before the window still counts at its beginning.
    """
    for later in range(at, len(entries)):
        if entries[later].timestamp - entries[at].timestamp > window_ms:
            break
        least = _least_before(entries, later, window_ms)
        if least is not None and entries[later].number - least.number >= rise:
            return (least, entries[later])
    return ()


def _least_before(entries: Sequence[Entry], later: int, window_ms: int) -> Entry | None:
    least: Entry | None = None
    for index in range(later - 1, -1, -1):
        if least is None or entries[index].number < least.number:
            least = entries[index]
        if entries[later].timestamp - entries[index].timestamp >= window_ms:
            break
    return least
