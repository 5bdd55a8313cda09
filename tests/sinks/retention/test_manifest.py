"""No drop without its entry, whenever a process ends; and a manifest that was changed is found out."""

from __future__ import annotations

import random
from collections import Counter

import pytest

from sinks.audit.files import read_notes
from sinks.engine import Session
from sinks.errors import EngineUnavailable, ManifestInvalid
from sinks.retention.entries import Reason, Step
from sinks.retention.manifest import TABLE, file_of
from sinks.retention.verification import verify
from sinks.tables import DATABASE
from tests.sinks.retention.conftest import Vault
from tests.sinks.retention.rows import expiry_ms, stored, write
from tests.sinks.samples import DAY_MS, HOUR_MS, now_ms
from tests.sinks.warehouse import Warehouse


class Ending:
    """A session whose process ends before or after the statement that contains a text."""

    def __init__(self, session: Session, text: str, after: bool) -> None:
        self._session = session
        self._text = text
        self._after = after

    def __getattr__(self, name: str) -> object:
        return getattr(self._session, name)

    def command(self, sql: str) -> None:
        if self._text in sql and not self._after:
            raise KeyboardInterrupt
        self._session.command(sql)
        if self._text in sql:
            raise KeyboardInterrupt


def past(vault: Vault, table: str, name: str) -> None:
    write(vault.warehouse, table, name, expiry_ms(vault.warehouse, table) - HOUR_MS)


@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
@pytest.mark.parametrize("text", [f"INSERT INTO {TABLE}", "DROP PART"])
def test_a_process_that_ends_leaves_no_drop_unrecorded(vault: Vault, text: str, after: bool) -> None:
    name = f"ending-{text[:4]}-{after}".replace(" ", "")
    past(vault, "sessions", name)
    with pytest.raises(KeyboardInterrupt):
        vault.sweeper.sweep(Ending(vault.session, text, after), now_ms())  # type: ignore[arg-type]
    vault.start_anew()
    vault.sweep()
    report = vault.verified()
    assert (report.faults, report.open) == ([], {})
    assert stored(vault.warehouse, "sessions", name) == 0
    assert [entry.dropped.reason for entry in vault.done("sessions")] == [Reason.RETENTION]
    assert sum(entry.dropped.rows for entry in vault.done("sessions")) == 1


@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
@pytest.mark.parametrize(("text", "number"), [(f"INSERT INTO {TABLE}", 3), (f"INSERT INTO {TABLE}", 4), ("DROP PART", 2)])
def test_a_pass_that_is_cut_short_tells_of_each_part_once(vault: Vault, text: str, after: bool, number: int) -> None:
    """Also where it goes on with the other tables: of the one that failed it keeps what it had seen before."""
    name = f"short-{text[:4]}-{after}-{number}"
    for day in (3, 2, 1):
        write(vault.warehouse, "sessions", name, expiry_ms(vault.warehouse, "sessions") - day * DAY_MS)
    vault.sweep(now_ms() - 30 * DAY_MS)
    swept = vault.sweeper.sweep(Unreachable(vault.session, text, after, number), now_ms())  # type: ignore[arg-type]
    assert set(swept.faults) <= {"sessions"}
    vault.sweep()
    report = vault.verified()
    assert (report.faults, report.open) == ([], {})
    told = Counter(part for entry in vault.done("sessions") for part in entry.dropped.parts)
    assert (len(told), set(told.values())) == (3, {1})
    assert {entry.dropped.reason for entry in vault.done("sessions")} == {Reason.RETENTION}
    assert stored(vault.warehouse, "sessions", name) == 0


class Unreachable(Ending):
    """Away for the n-th statement of a kind, and there again for what follows."""

    def __init__(self, session: Session, text: str, after: bool, number: int) -> None:
        super().__init__(session, text, after)
        self._left = number

    def command(self, sql: str) -> None:
        self._left -= self._text in sql
        away = self._text in sql and self._left == 0
        if not away or self._after:
            self._session.command(sql)
        if away:
            raise EngineUnavailable("code 1 (TEST)")


def test_a_copy_that_lacks_entries_gets_them_from_the_other(vault: Vault) -> None:
    past(vault, "sessions", "copies")
    vault.sweep()
    path = file_of(vault.directory)
    whole = path.read_bytes()
    path.write_bytes(whole[: whole.index(b"\n") + 1] + b'"half a l')
    vault.start_anew()
    vault.sweep()
    assert path.read_bytes() == whole
    vault.session.command(f"TRUNCATE TABLE {TABLE}")
    vault.start_anew()
    vault.sweep()
    assert vault.session.rows(f"SELECT count() FROM {TABLE}")[0][0] == len(read_notes(path))


def test_copies_that_contradict_each_other_end_all_dropping(vault: Vault) -> None:
    past(vault, "sessions", "contradiction-1")
    vault.sweep()
    path = file_of(vault.directory)
    path.write_bytes(path.read_bytes().replace(b"sessions", b"sessionz"))
    past(vault, "sessions", "contradiction-2")
    vault.start_anew()
    with pytest.raises(ManifestInvalid, match="contradict"):
        vault.sweep()
    assert stored(vault.warehouse, "sessions", "contradiction-2") == 1


def test_a_part_that_stays_is_told_and_tried_again(vault: Vault) -> None:
    past(vault, "sessions", "stays")
    refusing = Refusing(vault.session)
    swept = vault.sweeper.sweep(refusing, now_ms())  # type: ignore[arg-type]
    assert "parts stay: code 1" in swept.faults["sessions"]
    assert [entry.step for entry in vault.manifest.entries][-1] is Step.FAILED
    assert vault.sweep().faults == {}
    assert stored(vault.warehouse, "sessions", "stays") == 0


class Refusing(Ending):
    def __init__(self, session: Session) -> None:
        super().__init__(session, "DROP PART", after=False)

    def command(self, sql: str) -> None:
        if self._text in sql:
            raise EngineUnavailable("code 1 (TEST)")
        self._session.command(sql)


def test_what_clickhouse_drops_by_itself_is_noted(vault: Vault) -> None:
    write(vault.warehouse, "sessions", "by-ttl", expiry_ms(vault.warehouse, "sessions") - 8 * DAY_MS)
    # By a clock at which nothing has expired yet, so that the job leaves it and only remembers it.
    vault.sweep(now_ms() - 30 * DAY_MS)
    vault.session.command(f"SYSTEM START MERGES {DATABASE}.sessions")
    vault.session.command("SYSTEM START TTL MERGES")
    vault.session.command(f"OPTIMIZE TABLE {DATABASE}.sessions FINAL")
    assert stored(vault.warehouse, "sessions", "by-ttl") == 0
    vault.sweep()
    (entry,) = vault.done("sessions")
    assert (entry.dropped.reason, entry.dropped.rows, entry.intent) == (Reason.TTL, 1, -1)
    assert list(entry.dropped.offsets) == [1_000]


def test_rows_that_go_before_their_time_are_unexplained(vault: Vault, warehouse: Warehouse) -> None:
    write(warehouse, "sessions", "taken", now_ms())
    vault.sweep()
    ((name,),) = warehouse.session.rows(f"SELECT _part FROM {DATABASE}.sessions WHERE client_id = 'taken'")
    warehouse.session.command(f"ALTER TABLE {DATABASE}.sessions DROP PART '{name}'")
    vault.sweep()
    (entry,) = vault.done("sessions")
    assert (entry.dropped.reason, entry.dropped.parts, entry.dropped.rows) == (Reason.UNEXPLAINED, (name,), 1)


def test_merges_are_no_losses(vault: Vault, warehouse: Warehouse) -> None:
    for number in range(3):
        write(warehouse, "sessions", f"merged-{number}", now_ms())
    vault.sweep()
    warehouse.session.command(f"SYSTEM START MERGES {DATABASE}.sessions")
    warehouse.session.command(f"OPTIMIZE TABLE {DATABASE}.sessions FINAL")
    vault.sweep()
    assert vault.done("sessions") == []


def test_every_change_of_the_file_is_found_out(vault: Vault) -> None:
    for number in range(3):
        past(vault, "sessions", f"tamper-{number}")
        vault.sweep()
    notes = read_notes(file_of(vault.directory))
    keys = vault.public_keys
    assert verify(notes, keys).faults == []
    chance = random.Random(7)
    for _ in range(300):
        changed = list(notes)
        at = chance.randrange(len(changed))
        match chance.randrange(4):
            case 0:
                del changed[at]
                if at == len(notes) - 1:
                    continue  # an end that was cut off is a manifest of before
            case 1:
                changed.insert(at, changed[at])
            case 2:
                other = (at + 1) % len(changed)
                changed[at], changed[other] = changed[other], changed[at]
            case _:
                where = chance.randrange(len(changed[at]) - 1)
                changed[at] = f"{changed[at][:where]}{chr(ord(changed[at][where]) ^ 1)}{changed[at][where + 1 :]}"
        assert verify(changed, keys).faults, changed[at]
