"""Numbered migrations, applied once each, in order, and recorded in a ledger with the hash of their content.

A statement ends with a semicolon at the end of a line. Each may run again (IF NOT EXISTS, OR REPLACE), so that a migration
that was interrupted is simply applied again.
"""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from importlib import resources

from sinks.cluster import for_cluster
from sinks.engine import Session
from sinks.errors import EngineUnavailable, MigrationChanged, MigrationFailed
from sinks.tables import DATABASE

LEDGER = f"{DATABASE}.schema_migrations"

_DATABASE = f"CREATE DATABASE IF NOT EXISTS {DATABASE}"
_LEDGER = f"""
CREATE TABLE IF NOT EXISTS {LEDGER}
(
    number UInt32 COMMENT 'Of the migration',
    name String COMMENT 'Of its file',
    sha256 String COMMENT 'Of its content',
    applied_at DateTime64(3, 'UTC') DEFAULT now64(3) COMMENT 'When it was applied'
)
ENGINE = ReplacingMergeTree
ORDER BY number
COMMENT 'Which migrations were applied'
""".strip()


@dataclass(frozen=True, slots=True)
class Migration:
    """One file of the directory ``migrations``."""

    number: int
    name: str
    text: str

    @property
    def sha256(self) -> str:
        return hashlib.sha256(self.text.encode()).hexdigest()

    @property
    def statements(self) -> list[str]:
        parts = re.split(r";[ \t]*\n", self.text + "\n")
        return [part.strip() for part in parts if part.strip()]


def migrations() -> list[Migration]:
    """All migrations, in the order of their numbers."""
    files = resources.files("sinks").joinpath("migrations").iterdir()
    found = [Migration(int(file.name[:4]), file.name, file.read_text()) for file in files if file.name.endswith(".sql")]
    return sorted(found, key=lambda migration: migration.number)


@dataclass(frozen=True, slots=True)
class Plan:
    """What is to be done: ``prologue``, then all that are ``pending``. ``applied``: when each was, by number."""

    prologue: list[str]
    applied: dict[int, str]
    pending: list[Migration]
    cluster: str = ""

    def statements(self, migration: Migration) -> list[str]:
        """The statements of one migration as they are carried out."""
        return [for_cluster(statement, self.cluster) for statement in migration.statements]


def plan(session: Session, cluster: str = "") -> Plan:
    """What ``migrate`` would do. Changes nothing.

    Raises:
        MigrationChanged: one that was applied has other content now.
        MigrationFailed: a statement cannot be written for the cluster.
        EngineUnavailable: ClickHouse does not answer.
    """
    rows = _ledger(session)
    pending = outstanding(migrations(), {number: digest for number, digest, _ in rows})
    prologue = [for_cluster(statement, cluster) for statement in (_DATABASE, _LEDGER)]
    found = Plan(prologue, {number: applied_at for number, _, applied_at in rows}, pending, cluster)
    for migration in pending:
        found.statements(migration)
    return found


def migrate(session: Session, cluster: str = "") -> list[Migration]:
    """Apply those that the ledger does not have, and return them.

    Args:
        cluster: the name of a cluster whose servers are replicas of each other; empty for one server.

    Raises:
        MigrationChanged: one that was applied has other content now.
        MigrationFailed: a statement was refused; names the file.
        EngineUnavailable: ClickHouse does not answer.
    """
    found = plan(session, cluster)
    for statement in found.prologue:
        session.command(statement)
    for migration in found.pending:
        _apply(session, migration, found.statements(migration))
    return found.pending


def _ledger(session: Session) -> list[tuple[int, str, str]]:
    """Number, hash and time of what was applied; nothing where there is no ledger yet."""
    exists = f"SELECT count() FROM system.tables WHERE database = '{DATABASE}' AND name = 'schema_migrations'"  # noqa: S608
    if not session.rows(exists)[0][0]:
        return []
    rows = session.rows(f"SELECT number, sha256, toString(applied_at) FROM {LEDGER} FINAL ORDER BY number")  # noqa: S608
    return [(number, digest, applied_at) for number, digest, applied_at in rows]


def outstanding(all_of_them: list[Migration], applied: dict[int, str]) -> list[Migration]:
    """Those that are to be applied, given the hashes of the applied ones by number. Raises MigrationChanged."""
    for migration in all_of_them:
        if applied.get(migration.number, migration.sha256) != migration.sha256:
            raise MigrationChanged(f"{migration.name} was applied with other content: add a new migration instead.")
    return [migration for migration in all_of_them if migration.number not in applied]


def _apply(session: Session, migration: Migration, statements: list[str]) -> None:
    try:
        for statement in statements:
            session.command(statement)
        values = f"({migration.number}, '{migration.name}', '{migration.sha256}')"
        session.command(f"INSERT INTO {LEDGER} (number, name, sha256) VALUES {values}")  # noqa: S608 - our own
    except EngineUnavailable as error:
        raise MigrationFailed(f"{migration.name} cannot be applied: {error}.") from error
