"""What ``viworks fleet`` shows while it runs: a live table on a terminal, else a line a second."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator
from typing import IO

from rich.console import Console
from rich.live import Live
from rich.table import Table

from fleet.live import LiveFleet

_EVERY_S = 1.0


class FleetView:
    """Writes to ``output``, such as the standard error: the report is what the standard output is for."""

    def __init__(self, output: IO[str]) -> None:
        self._console = Console(file=output, highlight=False, soft_wrap=True)

    def say(self, text: str) -> None:
        """One line."""
        self._console.print(text, markup=False)

    async def watch(self, fleet: LiveFleet) -> None:
        """Show the fleet until cancelled."""
        if not self._console.is_terminal:
            await self._lines(fleet)
            return
        with Live(console=self._console, auto_refresh=False, transient=True) as live:
            while True:
                live.update(_table(fleet), refresh=True)
                await asyncio.sleep(_EVERY_S)

    async def _lines(self, fleet: LiveFleet) -> None:
        while True:
            await asyncio.sleep(_EVERY_S)
            self.say("  ".join(f"{name} {value}" for name, value in _figures(fleet)))


def _table(fleet: LiveFleet) -> Table:
    table = Table(show_header=False, box=None)
    for name, value in _figures(fleet):
        table.add_row(name, value)
    for (kind, status, problem), count in fleet.simulation.tally.verdicts.most_common(8):
        table.add_row(f"{kind} {status or 'none'}", f"{problem} {count:,}")
    return table


def _figures(fleet: LiveFleet) -> Iterator[tuple[str, str]]:
    tally = fleet.simulation.tally
    beats = tally.latency("heartbeat")
    yield "seconds", f"{(fleet.simulation.clock.monotonic_ms() - tally.started_ms) / 1000:.0f}"
    yield "sent", f"{tally.sent.total():,}"
    yield "accepted", f"{tally.accepted.total():,}"
    yield "refused", f"{tally.verdicts.total():,}"
    yield "per s", f"{(tally.rates()[-2:] or [0])[0]:,}"
    yield "p50", f"{beats.percentile_ms(50):.1f} ms"
    yield "p99", f"{beats.percentile_ms(99):.1f} ms"
    yield "late p99", f"{tally.lateness.percentile_ms(99):.1f} ms"
    yield "spooled", f"{fleet.deliveries.waiting:,}"
    yield "connections", f"{fleet.open_connections:,}"
    yield "processor", f"{time.process_time():.1f} s"
