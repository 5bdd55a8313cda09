"""Numbered migrations, applied once each, in order, and recorded in a ledger with the hash of their content.

A statement ends with a semicolon at the end of a line. Each may run again (IF NOT EXISTS, OR REPLACE), so that a migration
that was interrupted is simply applied again.
"""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from importlib import resources

from sinks.engine import Session
from sinks.errors import EngineUnavailable, MigrationChanged, MigrationFailed
from sinks.tables import DATABASE

LEDGER = f"{DATABASE}.schema_migrations"

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
"""


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


def migrate(session: Session) -> list[Migration]:
    """Apply those that the ledger does not have, and return them.

    Raises:
        MigrationChanged: one that was applied has other content now.
        MigrationFailed: a statement was refused; names the file.
        EngineUnavailable: ClickHouse does not answer.
    """
    session.command(f"CREATE DATABASE IF NOT EXISTS {DATABASE}")
    session.command(_LEDGER)
    rows = session.rows(f"SELECT number, sha256 FROM {LEDGER} FINAL")  # noqa: S608 - our own name
    pending = outstanding(migrations(), {row[0]: row[1] for row in rows})
    for migration in pending:
        _apply(session, migration)
    return pending


def outstanding(all_of_them: list[Migration], applied: dict[int, str]) -> list[Migration]:
    """Those that are to be applied, given the hashes of the applied ones by number. Raises MigrationChanged."""
    for migration in all_of_them:
        if applied.get(migration.number, migration.sha256) != migration.sha256:
            raise MigrationChanged(f"{migration.name} was applied with other content: add a new migration instead.")
    return [migration for migration in all_of_them if migration.number not in applied]


def _apply(session: Session, migration: Migration) -> None:
    try:
        for statement in migration.statements:
            session.command(statement)
        values = f"({migration.number}, '{migration.name}', '{migration.sha256}')"
        session.command(f"INSERT INTO {LEDGER} (number, name, sha256) VALUES {values}")  # noqa: S608 - our own
    except EngineUnavailable as error:
        raise MigrationFailed(f"{migration.name} cannot be applied: {error}.") from error
