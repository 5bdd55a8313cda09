"""An engine over HTTP, in a process of its own, that keeps an insert back on its way where that is asked for.

``python -m tests.chaos.late_inserts DIRECTORY PORT`` prints ``ready``. Where ``hold`` is put into the directory, the next
insert of heartbeats is kept back, ``held`` names its user, and it goes on once ``release`` is there; ``outcome`` says how it
ended.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from sinks.engine import EmbeddedEngine
from sinks.storage_keys import StorageKey
from tests.sinks.http_engine import served
from tests.sinks.warehouse import STORAGE_KEY

_INSERT = "INSERT INTO viworks.heartbeats ("


class LateInserts:
    """A gate. All is done by files, since the test is another process."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory

    @contextmanager
    def __call__(self, user: str, statement: str) -> Iterator[None]:
        if not (statement.startswith(_INSERT) and self._is_asked()):
            yield
            return
        self._say("held", user)
        while not (self._directory / "release").exists():
            time.sleep(0.02)
        try:
            yield
        except RuntimeError as error:
            self._say("outcome", str(error).partition(".")[0])
            raise
        self._say("outcome", "stored")

    def _is_asked(self) -> bool:
        try:
            (self._directory / "hold").unlink()
        except FileNotFoundError:
            return False
        return True

    def _say(self, name: str, text: str) -> None:
        unfinished = self._directory / f"{name}.new"
        unfinished.write_text(text)
        unfinished.rename(self._directory / name)


if __name__ == "__main__":
    place = Path(sys.argv[1])
    with served(EmbeddedEngine(place / "engine", (StorageKey(0, STORAGE_KEY),)), int(sys.argv[2]), LateInserts(place)):
        print("ready", flush=True)  # noqa: T201 - what the test waits for
        sys.stdin.read()
