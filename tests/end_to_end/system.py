"""The whole system as a user runs it: ``viworks up`` in a process of its own, on free ports."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import clickhouse_connect
from clickhouse_connect.driver.client import Client as ClickHouse

from infra.ports import free_port
from infra.sql_tokens import local_token
from tests.infra.waiting import alive, eventually

START_WITHIN_S = 120.0
PORTS = ("EDGE_PORT", "EDGE_TLS_PORT", "SQL_PORT", "CONSOLE_PORT", "KAFKA_PORT", "METRICS_PORT")


class System:
    """``viworks up --data DIR``; ``run`` is the content of ``run.json`` once all is ready.

    ``settings`` are further ``VIWORKS_*`` settings, by their names in lower case.
    """

    def __init__(self, data_dir: Path, demo: int, interval_s: int, **settings: str) -> None:
        self.data_dir = data_dir
        self.run: dict[str, Any] = {}
        self._demo = demo
        self._environment = {
            **os.environ,
            **{f"VIWORKS_{name}": str(free_port()) for name in PORTS},
            "VIWORKS_HEARTBEAT_INTERVAL_S": str(interval_s),
            **{f"VIWORKS_{name.upper()}": value for name, value in settings.items()},
        }
        self._process: subprocess.Popen[bytes] | None = None
        self._terminal = data_dir.parent / "terminal.log"

    def __enter__(self) -> System:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        if self._process is not None and self._process.poll() is None:
            self.stop(signal.SIGTERM)

    def start(self) -> None:
        """Start it and wait for the card."""
        command = [sys.executable, "-m", "infra", "up", "--data", str(self.data_dir), "--demo", str(self._demo)]
        with self._terminal.open("wb") as terminal:
            self._process = subprocess.Popen(
                command, env=self._environment, stdin=subprocess.DEVNULL, stdout=terminal, stderr=subprocess.STDOUT
            )
        eventually(self._ready_or_dead, f"viworks up is ready: {self._terminal}", START_WITHIN_S)
        assert self._process.poll() is None, self.terminal()
        self.run = json.loads((self.data_dir / "run.json").read_text())

    def stop(self, number: signal.Signals = signal.SIGINT) -> int:
        """Ask it to stop, as Ctrl-C does, and return its exit status."""
        assert self._process is not None
        self._process.send_signal(number)
        return self._process.wait(60)

    def terminal(self) -> str:
        """What it has printed."""
        return self._terminal.read_text()

    def command(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Run another ``viworks`` command on the same data."""
        command = [sys.executable, "-m", "infra", *arguments, "--data", str(self.data_dir)]
        return subprocess.run(command, env=self._environment, capture_output=True, text=True, check=True, timeout=60)

    def living(self) -> list[int]:
        """Those of the processes of the last start that still run."""
        return [
            pid
            for value in self.run["pids"].values()
            for pid in (value if isinstance(value, list) else [value])
            if alive(pid)
        ]

    def sql(self, role: str = "analyst") -> ClickHouse:
        """A clickhouse-connect client of the SQL port, as an analyst has it, or in another role."""
        _, _, address = self.run["sql"].partition("://")
        host, _, port = address.partition(":")
        first = Path(self.run["sql_token_file"]).read_text().strip()
        token = first if role == "analyst" else local_token(self.data_dir, role)
        return clickhouse_connect.get_client(host=host, port=int(port), username=role, password=token, database="viworks")

    def _ready_or_dead(self) -> bool:
        assert self._process is not None
        return self._process.poll() is not None or (self.data_dir / "run.json").exists()
