"""Rotation of the storage key for ``viworks keys rotate-storage``: a new key into the ring, the rest is the sink's.

While nothing runs, the command does the sink's part itself. On a server keys are its configuration's: only parts are moved.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

from infra import warehouse
from infra.data_lock import DataLock, holder
from infra.errors import NotDecided, WarehouseUnusable
from infra.key_files import ensure_keys
from infra.settings import InfraSettings
from sinks import rotation
from sinks.engine import Session, open_engine
from sinks.settings import SinkSettings
from sinks.storage_keys import read_ring, with_new_key, write_ring

_POLL_S = 0.5
_ROUNDS = 120

Told = Callable[[str], None]


def rotate(settings: InfraSettings, within_s: float, told: Told) -> str:
    """Rotate, and return what has become of it in one sentence.

    Raises:
        WarehouseUnusable: the keys or the engine cannot be used, or something still needs the former key.
        NotDecided: the running sink has not finished within ``within_s`` seconds; it goes on.
    """
    with warehouse.as_one_sentence():
        if settings.clickhouse:
            with warehouse.opened(settings) as (session, _):
                _move_all(session, told)
            return "every part is on the first disk of the server's policy: its former key is needed no more"
        path = ensure_keys(settings.data_dir).storage_key
        number = _new_key(path)
        if holder(settings.data_dir) is None:
            with DataLock(settings.data_dir):
                _carry_out(warehouse.sink_settings(settings), told)
        else:
            _wait(settings.data_dir, path, within_s, told)
        return f"key {number} encrypts the warehouse, and the former key is gone"


def _new_key(path: Path) -> int:
    ring = read_ring(path)
    renewed = with_new_key(ring)
    if renewed != ring:
        write_ring(path, renewed)
    return renewed[0].number


def _carry_out(settings: SinkSettings, told: Told) -> None:
    engine = open_engine(settings)
    try:
        session = engine.session()
        _move_all(session, told)
        session.close()
    finally:
        engine.close()
    rotation.retire(settings, told)


def _move_all(session: Session, told: Told) -> None:
    rest = rotation.move(session)
    for _ in range(_ROUNDS):
        if not rest.parts:
            break
        told(f"{len(rest.parts)} parts to move")
        time.sleep(_POLL_S)
        rest = rotation.move(session)
    if rest.parts or rest.detached:
        raise WarehouseUnusable(
            f"{len(rest.parts)} parts and {len(rest.detached)} detached ones still need the former key: attach or drop what "
            "is detached, which system.detached_parts lists, and begin again.",
        )


def _wait(data_dir: Path, path: Path, within_s: float, told: Told) -> None:
    told("the running sink goes on from here")
    deadline_s = time.monotonic() + within_s
    while len(read_ring(path)) > 1:
        if time.monotonic() >= deadline_s:
            raise NotDecided(
                f"The sink has not finished within {within_s:.0f} s; it goes on: {data_dir / 'logs' / 'sink.log'} says so; "
                "the command may be begun again."
            )
        time.sleep(_POLL_S)
