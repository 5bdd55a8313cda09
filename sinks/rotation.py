"""Rotation of the storage key: new parts go to the newest key's disk at once, old ones follow, then the former key goes.

The ring of keys is the order: where it has more than one key, the sink moves what is left and removes the former ones. So a
process that is killed at any point goes on with its next start. ClickHouse moves a part whole: it copies it and swaps it.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from functools import partial
from typing import NamedTuple

from sinks import storage
from sinks.engine import EmbeddedEngine, Engine, Session
from sinks.errors import EngineUnavailable, KeyFileUnusable, RotationFailed, SinkError
from sinks.orders.clerk import in_thread
from sinks.settings import SinkSettings
from sinks.storage_keys import Ring, read_ring, write_ring

log = logging.getLogger(__name__)

Told = Callable[[str], None]

_PAUSE_S = 2.0
_CURRENT = f"""
(SELECT disks[1] FROM system.storage_policies WHERE policy_name = '{storage.POLICY}' ORDER BY volume_priority LIMIT 1)
"""  # noqa: S608 - our own name, here and below
_TABLES = f"(SELECT database, name FROM system.tables WHERE storage_policy = '{storage.POLICY}')"  # noqa: S608
_PARTS = f"""
SELECT database, table, name FROM system.parts
WHERE active AND disk_name != {_CURRENT} AND (database, table) IN {_TABLES} ORDER BY rows
"""  # noqa: S608
_DETACHED = f"""
SELECT database, table, name FROM system.detached_parts
WHERE disk != {_CURRENT} AND (database, table) IN {_TABLES} ORDER BY ALL
"""  # noqa: S608


class Part(NamedTuple):
    """A part of a table."""

    database: str
    table: str
    name: str


class Left(NamedTuple):
    """What needs a former key: ``parts`` can be moved; what is detached waits for an operator."""

    parts: list[Part]
    detached: list[Part]


def left(session: Session) -> Left:
    """What is not on the newest key's disk. Raises EngineUnavailable."""
    return Left(
        [Part(*row) for row in session.rows(_PARTS)],
        [Part(*row) for row in session.rows(_DETACHED)],
    )


def move(session: Session) -> Left:
    """Move all parts once and return what is left: parts that were being merged, or were written meanwhile.

    Raises:
        EngineUnavailable: ClickHouse does not answer.
    """
    ((current,),) = session.rows(f"SELECT {_CURRENT}")
    for part in left(session).parts:
        try:
            session.command(f"ALTER TABLE {part.database}.`{part.table}` MOVE PART '{part.name}' TO DISK '{current}'")
        except EngineUnavailable as error:
            log.info("part %s of %s is not moved yet: %s", part.name, part.table, error)
    return left(session)


def retire(settings: SinkSettings, told: Told = log.info) -> None:
    """Remove all keys but the newest, once ClickHouse has opened every part without them. For a closed engine.

    Raises:
        RotationFailed: something still needs one of them, or expired just then: all stay.
        KeyFileUnusable, EngineNotOpened: as at any start.
    """
    ring = read_ring(settings.storage_key_file)
    newest, former = ring[:1], ring[1:]
    with storage.locked(settings.data_dir):
        storage.settle(settings.data_dir, ring)
        expected = _parts(settings, ring)
        told("every part is on the newest key's disk")
        storage.set_aside(settings.data_dir, former)
        told("the former keys' directories are set aside")
        found = _parts(settings, newest)
        if found != expected:
            storage.settle(settings.data_dir, ring)
            raise RotationFailed(f"{len(expected - found)} parts cannot be read without the former key")
        told("the newest key opens every part")
        _write(settings, newest)
        told("the former keys are removed from the ring")
        storage.settle(settings.data_dir, newest)
        told("what they encrypted is deleted")


def _parts(settings: SinkSettings, ring: Ring) -> set[Part]:
    """The parts that an engine with these keys opens. Raises RotationFailed where some are on another disk.

    A part whose time is up is dropped in two steps: an empty one covers it, and each is removed later by itself. Where the
    empty one went first, the other is there again at the next start, on the disk where it was, and is moved once more.
    """
    engine = EmbeddedEngine(settings.data_dir, ring)
    try:
        session = engine.session()
        try:
            rest = move(session)
            if rest.parts or rest.detached:
                raise RotationFailed(f"{len(rest.parts)} parts and {len(rest.detached)} detached ones need a former key")
            return _stable_parts(session)
        finally:
            session.close()
    finally:
        engine.close()


def _stable_parts(session: Session) -> set[Part]:
    """Those with rows, by what they cover, since a merge may join them: partition and first and last block."""
    rows = session.rows(
        "SELECT database, table, concat(partition_id, ' ', toString(min(min_block_number)), ' ', "  # noqa: S608 - our own names
        f"toString(max(max_block_number))) FROM system.parts WHERE active AND rows > 0 AND (database, table) IN {_TABLES} "
        "GROUP BY database, table, partition_id"
    )
    return {Part(*row) for row in rows}


def _write(settings: SinkSettings, ring: Ring) -> None:
    if settings.storage_key_file is None:
        raise RotationFailed("no file of keys is named")
    try:
        write_ring(settings.storage_key_file, ring)
    except OSError as error:
        raise RotationFailed(f"{settings.storage_key_file} cannot be written: {type(error).__name__}") from None


class Rotation:
    """What a running sink does for a rotation: ``run`` beside its work; ``due`` says that the engine must be opened anew."""

    def __init__(self, settings: SinkSettings, engine: Engine, wait_s: float = 0.0) -> None:
        self._settings = settings
        self._wait_s = wait_s
        self._engine = engine if isinstance(engine, EmbeddedEngine) else None
        self.moved = False

    @property
    def due(self) -> bool:
        """Whether a newer key is in the ring, or a former one is needed no more."""
        return self.moved or self._has_newer_key()

    async def run(self) -> None:
        """After the wait, move parts until none needs a former key. Ends at once where there is none."""
        await asyncio.sleep(self._wait_s)
        engine = self._engine
        while engine and len(engine.ring) > 1 and not self.moved:
            try:
                rest = await in_thread(partial(self._move, engine))
            except SinkError as error:
                log.warning("the rotation of the storage key waits: %s", error)
            else:
                self._tell(rest)
            await asyncio.sleep(_PAUSE_S)

    def _tell(self, rest: Left) -> None:
        self.moved = not rest.parts and not rest.detached
        log.info("rotation of the storage key: %d parts to move", len(rest.parts))
        for part in rest.detached[:10]:
            log.error("detached part %s of %s needs the former storage key: attach or drop it", part.name, part.table)

    def _move(self, engine: EmbeddedEngine) -> Left:
        session = engine.session()
        try:
            return move(session)
        finally:
            session.close()

    def _has_newer_key(self) -> bool:
        if self._engine is None:
            return False
        try:
            return read_ring(self._settings.storage_key_file)[0].number > self._engine.ring[0].number
        except KeyFileUnusable:
            # The engine has its keys; the next start says what is wrong with the file.
            return False
