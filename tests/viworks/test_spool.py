"""The spool on disk: what was accepted is there after any end of the process, and what somebody changed is noticed."""

from __future__ import annotations

import asyncio
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.viworks.spools import box, edit, event, ids, opened
from viworks import SpoolFailed, SpoolFull, SpoolInUse
from viworks.keys import DataBox
from viworks.spool import Record, Spool, SpoolDesk
from viworks.spool import census as counting
from viworks.spool.census import Row
from viworks.spool.database import FILE, REFUSED

_WRITER = """
import sys
from tests.viworks.spools import event, opened
spool, number = opened(sys.argv[1]), int(sys.argv[2])
while True:
    spool.append([event(number)])
    print(f"e-{number}", flush=True)
    number += 1
"""


def test_records_come_back_grave_ones_first_and_then_in_order(tmp_path: Path) -> None:
    spool = opened(tmp_path)
    severities = ("low", "high", "info", "critical", "medium")
    assert spool.append([event(number, severity) for number, severity in enumerate(severities)]) == [1, 2, 3, 4, 5]
    spool.close()
    again = opened(tmp_path)
    assert ids(again) == ["e-1", "e-3", "e-0", "e-2", "e-4"]
    assert ids(again, most=2) == ["e-1", "e-3"]
    again.settle([2, 4], {}, {})
    assert ids(again) == ["e-0", "e-2", "e-4"]
    assert again.append([event(9)]) == [6]
    assert again.findings == ()
    again.close()


def test_nothing_that_was_accepted_is_lost_when_the_process_is_killed(tmp_path: Path) -> None:
    accepted: list[str] = []
    for number in range(4):
        command = [sys.executable, "-c", _WRITER, str(tmp_path), str(1_000 * number)]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as writer:
            assert writer.stdout is not None
            accepted += [writer.stdout.readline().strip() for _ in range(5)]
            writer.send_signal(signal.SIGKILL)
            accepted += writer.stdout.read().split()
    spool = opened(tmp_path)
    # The one whose acceptance the process could not tell of any more may be there too.
    assert [each for each in ids(spool) if each in accepted] == accepted
    assert len(ids(spool)) - len(accepted) in range(5)
    assert len(accepted) >= 20
    assert spool.findings == ()
    spool.close()


def test_a_torn_log_costs_what_was_not_accepted_and_nothing_else(tmp_path: Path) -> None:
    spool = opened(tmp_path / "a")
    spool.append([event(1)])
    log = tmp_path / "a" / f"{FILE}-wal"
    whole = log.stat().st_size
    spool.append([event(2)])
    (tmp_path / "b").mkdir(mode=0o700)
    for length in (log.stat().st_size - 1, whole + 100, whole):
        for name in (FILE, f"{FILE}-wal"):
            content = (tmp_path / "a" / name).read_bytes()
            (tmp_path / "b" / name).write_bytes(content[:length] if name != FILE else content)
        torn = opened(tmp_path / "b")
        assert (ids(torn), torn.findings) == (["e-1"], ())
        torn.close()
    spool.close()


def test_the_oldest_of_the_least_grave_make_room_and_are_counted(tmp_path: Path) -> None:
    spool = opened(tmp_path, records=3)
    spool.append([event(1, "low"), event(2, "info"), event(3, "info")])
    assert spool.append([event(4, "high")]) == [4]
    assert ids(spool) == ["e-4", "e-1", "e-3"]
    assert spool.append([event(5, "critical"), event(6, "critical"), event(7, "low")]) == [5, 6, None]
    assert ids(spool) == ["e-4", "e-5", "e-6"]
    losses = {"dropped:info": 2, "dropped:low": 2}
    spool.close()
    again = opened(tmp_path, records=3)
    assert again.census.losses == losses
    assert again.report_losses({"dropped:info": 2, "dropped:low": 1}, event(8, "critical"))
    assert again.census.losses == {"dropped:low": 1, "dropped:high": 1}
    again.close()


def test_what_comes_again_is_not_counted_as_lost_where_there_is_no_room(tmp_path: Path) -> None:
    spool = opened(tmp_path, records=1)
    spool.append([event(1, "critical"), event(2, "low")])
    for _ in range(3):
        assert not spool.offer(event(3))
        assert not spool.report_losses(spool.census.losses, event(4))
    assert spool.census.losses == {"dropped:low": 1}
    spool.settle([1], {}, {})
    assert spool.offer(event(3))
    assert ids(spool) == ["e-3"]
    spool.close()


def test_the_bytes_are_bounded_and_the_file_with_them(tmp_path: Path) -> None:
    spool = opened(tmp_path, bytes=100_000)
    for number in range(0, 2_000, 50):
        spool.append([event(each, text="x" * 1_000) for each in range(number, number + 50)])
    assert spool.census.size <= 100_000
    assert ids(spool)[-1] == "e-1999"
    assert sum(path.stat().st_size for path in tmp_path.iterdir()) < 3_000_000
    spool.close()


def test_nothing_on_the_disk_can_be_read(tmp_path: Path) -> None:
    spool = opened(tmp_path)
    spool.append([event(1, text="the secret text")])
    spool.remember({"terms": b"another secret"})
    assert spool.recall("terms") == b"another secret"
    content = b"".join(path.read_bytes() for path in tmp_path.iterdir())
    assert b"secret" not in content
    assert b"e-1" not in content
    assert {path.stat().st_mode & 0o777 for path in tmp_path.iterdir()} == {0o600}
    spool.close()


@pytest.mark.parametrize(
    ("change", "left", "finding"),
    [
        ("UPDATE records SET box = zeroblob(400) WHERE seq = 2", ["e-1", "e-3"], "1 records of the spool were changed"),
        ("UPDATE records SET box = substr(box, 1, 20) WHERE seq = 2", ["e-1", "e-3"], "1 records"),
        ("UPDATE records SET rank = 0 WHERE seq = 2", ["e-1", "e-3"], "1 records"),
        ("UPDATE records SET rank = 77 WHERE seq = 2", ["e-1", "e-3"], "1 records"),
        ("UPDATE records SET aside = x'30' WHERE seq = 2", ["e-1", "e-3"], "1 records"),
        ("UPDATE records SET aside = 1 WHERE seq = 2", ["e-1", "e-3"], "1 records"),
        ("UPDATE records SET box = 'text' WHERE seq = 2", ["e-1", "e-3"], "1 records"),
        ("UPDATE records SET seq = 9 - seq WHERE seq > 1", ["e-1"], "2 records"),
        ("DELETE FROM records WHERE seq = 2", ["e-1", "e-3"], "records of the spool were removed"),
        ("DELETE FROM records", [], "records of the spool were removed"),
        ("DELETE FROM state", ["e-1", "e-2", "e-3"], "own count"),
        ("UPDATE state SET box = zeroblob(90)", ["e-1", "e-2", "e-3"], "own count"),
        ("CREATE TRIGGER t AFTER INSERT ON records BEGIN DELETE FROM records; END", [], "set aside"),
        ("DROP TABLE records", [], "set aside"),
    ],
)
def test_what_was_changed_is_found_and_the_rest_goes_on(tmp_path: Path, change: str, left: list[str], finding: str) -> None:
    spool = opened(tmp_path)
    spool.append([event(1), event(2), event(3)])
    spool.close()
    edit(tmp_path, change)
    again = opened(tmp_path)
    assert len([each for each in again.findings if finding in each]) == 1
    assert ids(again) == left
    assert (tmp_path / REFUSED).exists()
    [place] = again.append([event(4)])
    assert place is not None
    again.close()
    third = opened(tmp_path)
    assert (ids(third), third.findings) == ([*left, "e-4"], ())
    third.close()


def test_what_is_as_it_was_written_is_opened_without_being_decrypted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    spool = opened(tmp_path)
    spool.append([event(number) for number in range(50)])
    spool.settle([1], {}, {2: "bad"})
    spool.close()
    decrypted: list[bytes] = []
    decrypt = DataBox.decrypt
    monkeypatch.setattr(
        DataBox, "decrypt", lambda box, record, place=b"": decrypted.append(place) or decrypt(box, record, place)
    )
    again = opened(tmp_path)
    assert decrypted == [b"state\ncensus"]
    assert (again.census.waiting, again.census.aside, again.findings) == (48, 1, ())
    assert len(ids(again)) == 48
    again.close()


def test_values_of_other_types_that_read_alike_are_no_rows_of_ours() -> None:
    written = Row(1, 2, 0, b"12\n" + bytes(40))
    census = counting.with_row(counting.fresh(), written)
    assert counting.of_rows(census, [written]) == census
    for changed in (written._replace(rank="2"), written._replace(aside="0\n12", box=bytes(40))):  # type: ignore[arg-type]
        assert counting.of_rows(census, [changed]) is None


def test_a_record_that_was_removed_cannot_be_brought_back(tmp_path: Path) -> None:
    spool = opened(tmp_path)
    spool.append([event(1), event(2)])
    spool.close()
    edit(tmp_path, "CREATE TABLE kept AS SELECT * FROM records WHERE seq = 1", "DROP INDEX IF EXISTS none")
    stolen = _rows(tmp_path, "kept")
    edit(tmp_path, "DROP TABLE kept")
    again = opened(tmp_path)
    again.settle([1], {}, {})
    again.close()
    edit(tmp_path, f"INSERT INTO records VALUES (1, 2, 0, x'{stolen}')")
    third = opened(tmp_path)
    assert any("brought back" in each for each in third.findings)
    third.close()


@pytest.mark.parametrize("content", [b"", b"no database" * 500, None])
def test_a_file_that_is_no_spool_is_set_aside(tmp_path: Path, content: bytes | None) -> None:
    spool = opened(tmp_path)
    spool.append([event(number, text="x" * 500) for number in range(50)])
    spool.close()
    path = tmp_path / FILE
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) // 2] if content is None else content)
    again = opened(tmp_path)
    assert ids(again, 10) == []
    assert bool(again.findings) == (content != b"")  # an empty file is what a first start that was killed leaves behind
    again.close()


def test_a_record_that_is_changed_while_the_spool_is_open_is_found(tmp_path: Path) -> None:
    spool = opened(tmp_path)
    spool.append([event(1), event(2)])
    spool._database._connection.execute("UPDATE records SET box = zeroblob(200) WHERE seq = 1")
    assert ids(spool) == ["e-2"]
    assert "1 records" in spool.findings[0]
    spool.close()


def test_one_owner_at_a_time(tmp_path: Path) -> None:
    spool = opened(tmp_path)
    with pytest.raises(SpoolInUse):
        opened(tmp_path)
    script = "import sys; from tests.viworks.spools import opened; opened(sys.argv[1])"
    other = subprocess.run([sys.executable, "-c", script, str(tmp_path)], capture_output=True, text=True, check=False)
    assert "SpoolInUse" in other.stderr
    spool.append([event(1)])
    spool.close()
    again = opened(tmp_path)
    assert ids(again) == ["e-1"]
    again.close()


def test_refused_records_are_kept_up_to_a_bound(tmp_path: Path) -> None:
    spool = opened(tmp_path, aside=2)
    spool.append([event(number) for number in range(4)])
    spool.settle([], {1: ("expired", "medium")}, {2: "bad", 3: "bad", 4: "worse"})
    assert (ids(spool), spool.census.aside) == ([], 2)
    assert spool.census.losses == {"expired:medium": 1, "refused:bad": 2, "refused:worse": 1}
    spool.close()
    assert opened(tmp_path).findings == ()


def test_a_full_disk_is_an_error_and_what_was_accepted_stays(tmp_path: Path) -> None:
    spool = opened(tmp_path)
    spool.append([event(1)])
    pages = spool._database._connection.execute("PRAGMA page_count").fetchone()[0]
    spool._database._connection.execute(f"PRAGMA max_page_count = {pages}")
    with pytest.raises(SpoolFailed, match="SQLITE_FULL"):
        spool.append([event(2, text="x" * 100_000)])
    assert ids(spool) == ["e-1"]
    assert spool.census.waiting == 1
    spool.close()


async def test_one_commit_serves_all_who_came_meanwhile(tmp_path: Path) -> None:
    desk = SpoolDesk(_Counting(tmp_path))
    await asyncio.gather(*(desk.append(event(number)) for number in range(200)))
    assert isinstance(desk.spool, _Counting)
    assert desk.spool.commits <= 3
    assert len(ids(desk.spool)) == 200
    await desk.close()


async def test_one_that_finds_no_room_spoils_no_other(tmp_path: Path) -> None:
    desk = SpoolDesk(opened(tmp_path, records=1))
    outcomes = await asyncio.gather(
        *(desk.append(event(number, severity)) for number, severity in enumerate(("high", "info", "critical"))),
        return_exceptions=True,
    )
    assert [type(each) for each in outcomes] == [type(None), SpoolFull, type(None)]
    await desk.close()


class _Counting(Spool):
    def __init__(self, directory: Path) -> None:
        super().__init__(directory, box())
        self.commits = 0

    def append(self, records: list[Record]) -> list[int | None]:  # type: ignore[override]
        self.commits += 1
        return super().append(records)


def _rows(directory: Path, table: str) -> str:
    import sqlite3

    connection = sqlite3.connect(directory / FILE)
    [(found,)] = connection.execute(f"SELECT hex(box) FROM {table}")
    connection.close()
    return str(found)
