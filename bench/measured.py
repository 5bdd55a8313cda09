"""A child process whose processor time and memory are read from outside."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType

_TICKS_PER_S = os.sysconf("SC_CLK_TCK")


class Measured:
    """Runs ``python ARGS``; use as a context manager. Its output goes to ``log``."""

    def __init__(self, args: list[str], environment: Mapping[str, str], log: Path, cpu: int | None = None) -> None:
        self._args = args
        self._environment = {**os.environ, **environment}
        self._log = log
        self._cpu = cpu
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Measured:
        with self._log.open("ab") as output:
            self._process = subprocess.Popen(
                [sys.executable, *self._args], env=self._environment, stdout=output, stderr=subprocess.STDOUT
            )
        if self._cpu is not None and hasattr(os, "sched_setaffinity"):
            os.sched_setaffinity(self._process.pid, {self._cpu})
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        process = self._running()
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(20)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()

    @property
    def alive(self) -> bool:
        """Whether it still runs."""
        return self._running().poll() is None

    def cpu_s(self) -> float:
        """Processor time of all its threads so far, in seconds (Linux)."""
        fields = Path(f"/proc/{self._running().pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / _TICKS_PER_S

    def rss_mib(self) -> float:
        """Its resident memory now (Linux)."""
        pages = int(Path(f"/proc/{self._running().pid}/statm").read_text().split()[1])
        return pages * os.sysconf("SC_PAGE_SIZE") / 2**20

    def _running(self) -> subprocess.Popen[bytes]:
        if self._process is None:
            raise RuntimeError("not started")
        return self._process


def output_of(args: list[str], cpu: int | None = None) -> bytes:
    """What ``python ARGS`` prints, run on one processor where asked and possible. Raises CalledProcessError."""
    pin = shutil.which("taskset") if cpu is not None else None
    prefix = [pin, "-c", str(cpu)] if pin else []
    return subprocess.run([*prefix, sys.executable, *args], check=True, stdout=subprocess.PIPE).stdout


def wait_for_port(port: int, process: Measured, within_s: float = 30.0) -> None:
    """Wait until something accepts on the loopback port. Raises RuntimeError where the process ends or time runs out."""
    deadline = time.monotonic() + within_s
    while time.monotonic() < deadline and process.alive:
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.05)
    raise RuntimeError(f"nothing accepts on port {port}")
