"""What a hold takes from ClickHouse's hands stays out of them when the process ends: the TTL is gone from the definition."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.sinks.sink_process import ROOT
from tests.sinks.warehouse import STORAGE_KEY

_WRITE = """
import sys
from pathlib import Path
from sinks.holds import keeping
from sinks.holds.hold import Hold
from tests.sinks.retention.rows import expiry_ms, write
from tests.sinks.samples import DAY_MS
from tests.sinks.warehouse import Warehouse

warehouse = Warehouse(Path(sys.argv[1]))
warehouse.session.command("SYSTEM STOP TTL MERGES")
if sys.argv[2] == "held":
    hold = Hold("case", ("somebody-else",), None, None, ("events",), 0, "", "", "")
    keeping.set_ttls(warehouse.session, [hold])
write(warehouse, "events", "over", expiry_ms(warehouse, "events") - 64 * DAY_MS)
"""
_LOOK = """
import sys, time
from sinks.engine import open_engine
from sinks.settings import SinkSettings

session = open_engine(SinkSettings()).session()
count = "SELECT count() FROM viworks.events"
deadline = time.monotonic() + float(sys.argv[1])
session.command("OPTIMIZE TABLE viworks.events FINAL")
while session.rows(count)[0][0] and time.monotonic() < deadline:
    time.sleep(0.05)
print(session.rows(count)[0][0])
"""


@pytest.mark.long
@pytest.mark.parametrize(("held", "left"), [("held", "1"), ("free", "0")])
def test_an_expired_row_outlives_a_restart_only_where_a_hold_touches_its_table(tmp_path: Path, held: str, left: str) -> None:
    environment = os.environ | {"PYTHONPATH": str(ROOT), "VIWORKS_DATA_DIR": str(tmp_path / "data")}
    (tmp_path / "storage.key").write_text(STORAGE_KEY)
    environment["VIWORKS_STORAGE_KEY_FILE"] = str(tmp_path / "storage.key")

    def python(code: str, *arguments: str) -> str:
        command = [sys.executable, "-c", code, *arguments]
        return subprocess.run(command, env=environment, check=True, timeout=120, stdout=subprocess.PIPE, text=True).stdout

    python(_WRITE, str(tmp_path), held)
    # Where it is to stay, long enough for ClickHouse to take it; where it is to go, as long as that takes.
    assert python(_LOOK, "3" if held == "held" else "60").strip() == left
