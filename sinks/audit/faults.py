"""What a verification finds: one sentence a fault, and which record is the first that it is about."""

from __future__ import annotations

from dataclasses import dataclass

from sinks.audit.chain import date_of


@dataclass(frozen=True, slots=True)
class Fault:
    """``position``, ``offset`` and ``day`` are of the first record concerned, as far as it is known."""

    sentence: str
    position: int | None = None
    offset: int | None = None
    day: int | None = None


def record_fault(position: int, offset: int, day: int, what: str) -> Fault:
    """A fault of one record."""
    return Fault(f"Record {position} (offset {offset}, day {shown(day)}): {what}.", position, offset, day)


def missing(first: int, after: int, day: int | None, what: str = "") -> Fault:
    """Records from ``first`` to before ``after`` are missing; ``day`` is that of the checkpoint or record that tells it."""
    span = f"Record {first} is" if after == first + 1 else f"Records {first} to {after - 1} are"
    told = f", by day {shown(day)}" if day is not None else ""
    return Fault(f"{span} missing{told}{what}.", first, None, day)


def shown(day: int) -> str:
    """A day as a date; a number that is none as it is."""
    try:
        return str(date_of(day))
    except (ValueError, OverflowError):
        return str(day)
