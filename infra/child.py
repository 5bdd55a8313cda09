"""One child process: its own process group, its own log file, and an end together with this process."""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from infra import tether
from infra.durable_files import last_lines

log = logging.getLogger(__name__)

_POLL_S = 0.02
_LOG_LIMIT_BYTES = 10 * 1024 * 1024


class Child:
    """A started program. Bound to no event loop, so that a broker may serve many of them in turn.

    Start it on the main thread: the kernel's parent-death signal follows the thread that started the process.
    """

    def __init__(
        self,
        command: Sequence[str | Path],
        log: Path,
        environment: Mapping[str, str],
        death_signal: signal.Signals = signal.SIGTERM,
        directory: Path | None = None,
    ) -> None:
        """Start ``command``, whose first item is the path of a program, in ``directory``, by default the current one.

        Raises:
            OSError: the log cannot be written, or there are no processes left.
        """
        self.log = log
        self._log_start = _open_size(log)
        tethered = [sys.executable, "-I", "-S", tether.__file__, str(os.getpid()), str(int(death_signal)), *command]
        with log.open("ab") as output:
            self._process = subprocess.Popen(
                tethered,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                env=environment,
                cwd=directory,
                process_group=0,
            )

    @property
    def pid(self) -> int:
        """The process id, also after the end."""
        return self._process.pid

    @property
    def returncode(self) -> int | None:
        """The exit status, negative for a signal; None while it runs."""
        return self._process.poll()

    async def wait(self) -> int:
        """Wait for the end and return the exit status."""
        while (status := self.returncode) is None:  # noqa: ASYNC110 - a process that no loop watches
            await asyncio.sleep(_POLL_S)
        return status

    async def stop(self, timeout_s: float) -> None:
        """Ask it to end, wait for up to ``timeout_s`` seconds, then kill it and all that it started."""
        self.signal(signal.SIGTERM)
        try:
            await asyncio.wait_for(self.wait(), timeout_s)
        except TimeoutError:
            log.warning("pid %d did not end within %.0f s and is killed", self.pid, timeout_s)
        finally:
            # Also after a clean end: what it started may still be there.
            self.kill()
            await self.wait()

    def signal(self, number: signal.Signals) -> None:
        """Send a signal to the process; nothing where it has ended."""
        if self.returncode is None:
            self._process.send_signal(number)

    def kill(self) -> None:
        """Kill the process group."""
        try:
            os.killpg(self.pid, signal.SIGKILL)
        except ProcessLookupError:
            return

    def last_lines(self, count: int = 12) -> tuple[str, ...]:
        """The end of what this process, and no earlier one, wrote to the log."""
        written = self.log.stat().st_size - self._log_start
        return last_lines(self.log, count, min(written, 16_384))


def _open_size(log: Path) -> int:
    """Move a long log aside; return how many bytes of earlier runs stay in it."""
    log.parent.mkdir(parents=True, exist_ok=True)
    if not log.exists():
        return 0
    size = log.stat().st_size
    if size < _LOG_LIMIT_BYTES:
        return size
    log.replace(log.with_name(f"{log.name}.1"))
    return 0
