"""A sweeper with a manifest of its own, on the engine that the tests share."""

from __future__ import annotations

import base64
from collections.abc import Iterator
from pathlib import Path

import pytest

from sinks.audit.files import read_notes
from sinks.audit.signing_key import AuditKey, read_public_keys
from sinks.holds import keeping
from sinks.holds.orders import Holds
from sinks.orders.order import Order
from sinks.retention.entries import Entry, Step
from sinks.retention.manifest import TABLE, Manifest, file_of
from sinks.retention.sweeper import Sweeper, Swept
from sinks.retention.verification import Report, verify
from sinks.tables import DATABASE
from tests.sinks.retention.rows import FILLED
from tests.sinks.samples import DAY_MS, now_ms
from tests.sinks.warehouse import Warehouse


class Vault:
    """One installation's retention: passes by a clock that is given, orders about holds, the manifest."""

    def __init__(self, warehouse: Warehouse, directory: Path) -> None:
        self.warehouse = warehouse
        self.session = warehouse.session
        self.directory = directory
        key = directory / "audit.key"
        key.write_bytes(base64.b64encode(bytes(range(32))))
        self._public_keys = directory / "public-keys"
        self._key = AuditKey(key, self._public_keys)
        self.start_anew()

    def start_anew(self) -> None:
        """As another process, on what is there."""
        self.manifest = Manifest(file_of(self.directory), self._key.sign_text, now_ms)
        self.sweeper = Sweeper(self.directory, self.manifest, overdue_ms=DAY_MS)
        self.holds = Holds(self.manifest)

    def sweep(self, at_ms: int | None = None) -> Swept:
        return self.sweeper.sweep(self.session, now_ms() if at_ms is None else at_ms)

    def verified(self) -> Report:
        return verify(read_notes(file_of(self.directory)), self.public_keys)

    @property
    def public_keys(self) -> list[bytes]:
        return read_public_keys(self._public_keys)

    def done(self, table: str) -> list[Entry]:
        """What the manifest says went of a table."""
        return [each for each in self.manifest.entries if each.step is Step.DONE and each.dropped.table == table]

    def order(self, action: str, name: str, **body: object) -> dict[str, int]:
        """Give an order about a hold; returns how many rows it was about, by table."""
        given = Order("an-order", action, name, {"client_ids": [], "tables": [], **body}, "somebody", now_ms(), "asker")
        self.manifest.open(self.session)
        handler = {"hold.set": self.holds.set, "hold.release": self.holds.release}[action]
        rows: dict[str, int] = handler(given, self.session)["rows"]
        return rows


@pytest.fixture
def vault(warehouse: Warehouse, tmp_path: Path) -> Iterator[Vault]:
    warehouse.session.command(f"TRUNCATE TABLE {TABLE}")
    warehouse.session.command(f"TRUNCATE TABLE {DATABASE}.holds")
    warehouse.session.command(f"TRUNCATE TABLE {DATABASE}.retention_state")
    # What other tests left expires sooner or later, and would go with the rows of this one.
    for table in FILLED:
        warehouse.session.command(f"TRUNCATE TABLE {DATABASE}.{table}")
        warehouse.session.command(f"SYSTEM STOP MERGES {DATABASE}.{table}")
    warehouse.session.command("SYSTEM STOP TTL MERGES")
    yield Vault(warehouse, tmp_path)
    for table in FILLED:
        warehouse.session.command(f"SYSTEM START MERGES {DATABASE}.{table}")
    warehouse.session.command(f"TRUNCATE TABLE {DATABASE}.holds")
    keeping.set_ttls(warehouse.session, [])
    warehouse.session.command("SYSTEM START TTL MERGES")
