"""What ``viworks up`` shows: progress stage by stage, what happened since, and the card at the end."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime
from typing import IO

from rich.console import Console
from rich.status import Status

from infra.key_files import KeyFiles

_CARD = (
    ("edge", "edge"),
    ("edge, mTLS", "edge_tls"),
    ("SQL", "sql"),
    ("console", "console"),
    ("Kafka", "kafka"),
    ("metrics", "metrics"),
)


class Terminal:
    """Writes to a terminal with a spinner, and plain lines to anything else."""

    def __init__(self, output: IO[str] | None = None) -> None:
        """``output``: by default the standard output."""
        self._console = Console(file=output, highlight=False, soft_wrap=True)
        self._status: Status | None = None
        self._running: dict[str, float] = {}
        self._begun_s = time.monotonic()

    @contextmanager
    def stage(self, title: str) -> Iterator[None]:
        """Show a stage while it lasts, and how long it took. Several may last at once."""
        begun_s = self._running[title] = time.monotonic()
        self._show_running()
        outcome = "[red]failed [/]"
        try:
            yield
            outcome = "[green]ready  [/]"
        except asyncio.CancelledError:
            outcome = "stopped"
            raise
        finally:
            del self._running[title]
            self._show_running()
            self._console.print(f"  {outcome}  {title:<24}{time.monotonic() - begun_s:6.1f} s")

    def say(self, text: str) -> None:
        """One line on what just happened, with the time of day."""
        self._console.print(f"{datetime.now().astimezone():%H:%M:%S}  {text}", markup=False)

    def card(self, addresses: Mapping[str, str], keys: KeyFiles, demo: int) -> None:
        """Where everything is, and a first query to paste."""
        fleet = f" with {demo} simulated clients" if demo else ""
        self._console.print(f"\n[bold]ViWorkS is up{fleet}[/] after {time.monotonic() - self._begun_s:.1f} s\n")
        for label, name in _CARD:
            self._row(label, addresses[name])
        self._row("SQL token", str(keys.sql_token))
        if keys.sealing_private.exists():
            self._row("SOC key", f"{keys.sealing_private}  (opens sealed values: move it to the analyst's machine)")
        self._console.print("\nTry:")
        self._console.print(_example(addresses["sql"], keys), markup=False)
        self._console.print("\nCtrl-C stops everything; the data stay.\n")

    def _row(self, label: str, value: str) -> None:
        self._console.print(f"  {label:<12}{value}", markup=False)

    def _show_running(self) -> None:
        if not self._console.is_terminal:
            return
        if self._status is None:
            self._status = self._console.status("")
        self._status.update(f"starting {', '.join(self._running)}")
        if self._running:
            self._status.start()
        else:
            self._status.stop()


def _example(sql: str, keys: KeyFiles) -> str:
    query = "SELECT * FROM viworks.fleet_now LIMIT 5 FORMAT PrettyCompact"
    return f"  curl -u \"analyst:$(cat '{keys.sql_token}')\" {sql}/ --data '{query}'"
