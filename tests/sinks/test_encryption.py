"""What lies on the disk of the warehouse tells nothing, table by table, as the engine lists them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.sinks.markers import copy_of, fill_with_markers, historical_tables
from tests.sinks.samples import event
from tests.sinks.stored_files import readable
from tests.sinks.warehouse import STORAGE_KEY, Warehouse


def found(directory: Path, markers: dict[str, bytes]) -> set[str]:
    """The columns whose marker somebody can read there."""
    contents = readable(directory)
    return {column for column, marker in markers.items() if marker in contents}


@pytest.fixture(autouse=True)
def _without_copies(warehouse: Warehouse) -> Iterator[None]:
    yield
    warehouse.session.command("DROP DATABASE IF EXISTS marked SYNC")


def test_no_marker_of_any_column_is_found(warehouse: Warehouse) -> None:
    for table in historical_tables(warehouse.session):
        copy = copy_of(warehouse.session, table)
        markers = fill_with_markers(warehouse.session, copy)
        assert markers, table
        for column, marker in markers.items():
            held = f"SELECT count() FROM {copy} WHERE toString({column}) LIKE '%{marker.decode()}%'"
            assert warehouse.session.rows(held)[0][0], (table, column)
        assert found(warehouse.settings.data_dir, markers) == set(), table


def test_the_search_finds_every_marker_of_a_table_that_is_moved_to_the_plain_disk(warehouse: Warehouse) -> None:
    for table in historical_tables(warehouse.session):
        copy = copy_of(warehouse.session, table, "SETTINGS storage_policy = 'default'")
        markers = fill_with_markers(warehouse.session, copy)
        assert found(warehouse.settings.data_dir, markers) == markers.keys(), table


def test_what_the_tables_hold_lies_on_encrypted_disks(warehouse: Warehouse) -> None:
    """The tables themselves, as against their copies above."""
    warehouse.fill("events", "event", event("on-disk", "e"))
    plain = warehouse.session.rows(
        "SELECT DISTINCT part.table FROM system.parts AS part INNER JOIN system.disks AS disk ON disk.name = part.disk_name "
        "WHERE part.database = 'viworks' AND NOT disk.is_encrypted"
    )
    assert plain == [("schema_migrations",)]


def test_what_a_query_spills_is_encrypted(warehouse: Warehouse) -> None:
    disks = warehouse.session.rows(
        "SELECT disk.is_encrypted FROM system.storage_policies AS policy ARRAY JOIN disks AS name "
        "INNER JOIN system.disks AS disk ON disk.name = policy.disks[1] WHERE policy.policy_name = "
        "(SELECT value FROM system.server_settings WHERE name = 'tmp_policy')"
    )
    assert disks == [(1,)]


@pytest.mark.parametrize("form", [STORAGE_KEY.encode(), bytes.fromhex(STORAGE_KEY)], ids=["digits", "bytes"])
def test_the_key_is_nowhere_in_the_data(warehouse: Warehouse, form: bytes) -> None:
    assert form not in readable(warehouse.settings.data_dir)
