"""One step of a rotation in a process of its own, which can die of it: an engine is one for a process.

``python -m tests.sinks.rotation_process DIRECTORY STEP [SENTENCE]``: ``fill``, ``move``, ``detach``, ``attach``, ``retire``
or ``read``. It kills itself, as by SIGKILL, when it is told ``SENTENCE``, or with ``move`` after so many parts.
"""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path

from sinks import rotation
from sinks.engine import Session, open_engine
from sinks.migrate import migrate
from sinks.settings import SinkSettings

_TABLES = "SELECT name FROM system.tables WHERE database = 'viworks' AND storage_policy = 'encrypted' ORDER BY name"


class Dying:
    """A session of an engine that is killed at its N-th move."""

    def __init__(self, session: Session, last: int) -> None:
        self._session = session
        self._left = last
        self.rows = session.rows

    def command(self, sql: str) -> None:
        """Move a part, or die."""
        if self._left == 0:
            os.kill(os.getpid(), signal.SIGKILL)
        self._left -= 1
        self._session.command(sql)

    insert_avro = close = None


def main(directory: Path, step: str, sentence: str = "") -> None:
    """Carry out one step."""
    settings = SinkSettings(data_dir=directory / "data", storage_key_file=directory / "storage.key")
    if step == "retire":
        rotation.retire(settings, lambda told: os.kill(os.getpid(), signal.SIGKILL) if told == sentence else None)
        return
    engine = open_engine(settings)
    session = engine.session()
    if step == "fill":
        _fill(session)
    elif step == "move":
        dying = Dying(session, int(sentence or -1))
        while rotation.move(dying).parts:  # type: ignore[arg-type]
            pass
    elif step == "detach":
        _, table, part = rotation.left(session).parts[-1]
        session.command(f"ALTER TABLE viworks.{table} DETACH PART '{part}'")
    elif step == "attach":
        ((_, table, part),) = rotation.left(session).detached
        session.command(f"ALTER TABLE viworks.{table} ATTACH PART '{part}'")
    sys.stdout.write(_everything(session))
    session.close()
    engine.close()


def _fill(session: Session) -> None:
    migrate(session)
    for number in range(4):
        session.command(
            "INSERT INTO viworks.events (_topic, client_id, event_id, timestamp, received_at) "
            f"SELECT 'viworks.events.v1', 'c', toString(number + {number}00), now() - number * 864000, now() FROM numbers(9)"
        )
        session.command(f"INSERT INTO viworks.clients (_topic, client_id) VALUES ('viworks.clients.v1', 'c-{number}')")


def _everything(session: Session) -> str:
    """Every row of every table, as a hash."""
    hashes = [
        (name, session.rows(f"SELECT count(), sum(cityHash64(*)) FROM viworks.{name} SETTINGS final = 1")[0])
        for (name,) in session.rows(_TABLES)
    ]
    return repr([(name, rows, total) for name, (rows, total) in hashes if rows])


if __name__ == "__main__":
    main(Path(sys.argv[1]), *sys.argv[2:])
