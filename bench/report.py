"""Rows of the report: a figure beside a bound that was measured in the same run, or one that must stay within a limit."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Row:
    """``reached`` and ``bound`` in the same unit; ``wanted`` is the ratio to reach."""

    what: str
    reached: float
    bound: float
    wanted: float
    note: str

    @property
    def ratio(self) -> float:
        return self.reached / self.bound

    def text(self) -> str:
        verdict = "reached" if self.ratio >= self.wanted else "NOT REACHED"
        return (
            f"{self.what:<46}{self.reached:>12,.0f} {self.bound:>12,.0f} {self.ratio:>8.2f} {self.wanted:>8.2f}  {verdict}\n"
            f"    {self.note}"
        )


@dataclass(frozen=True, slots=True)
class Limit:
    """``reached`` must not be more than ``wanted``; both in ``unit``."""

    what: str
    reached: float
    wanted: float
    unit: str
    note: str

    def text(self) -> str:
        verdict = "reached" if self.reached <= self.wanted else "NOT REACHED"
        figure, limit = f"{self.reached:,.4g} {self.unit}", f"{self.wanted:,.4g} {self.unit}"
        return f"{self.what:<46}{figure:>12} {'':>12} {'':>8} {'≤ ' + limit:>8}  {verdict}\n    {self.note}"


HEADER = f"{'what':<46}{'reached':>12} {'bound':>12} {'ratio':>8} {'wanted':>8}"
