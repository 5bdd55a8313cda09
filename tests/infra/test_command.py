"""The command itself: the light install, settings that do not fit, parts, and what a user reads."""

from __future__ import annotations

import asyncio
import json
import logging
import os
import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from infra.data_lock import DataLock, holder
from infra.errors import DataDirectoryInUse, PartUnknown, SettingsInvalid
from infra.log_lines import LogfmtFormatter, readable
from infra.notify import READY, Inbox, notify
from infra.parts import run_part, until_stopped
from infra.settings import InfraSettings

ROOT = Path(__file__).parent.parent.parent


def viworks(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "infra", *arguments]
    return subprocess.run(
        command, cwd=ROOT, env={**os.environ, **environment}, capture_output=True, text=True, timeout=60, check=False
    )


@pytest.mark.parametrize("module", ["typer", "rich", "aiokafka", "pydantic_settings"])
def test_the_light_install_says_what_to_install(module: str, tmp_path: Path) -> None:
    argv = ["viworks", "up", "--data", str(tmp_path)]
    code = f"import sys; sys.argv = {argv}; sys.modules[{module!r}] = None; from infra.cli import main; main()"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 1
    assert "install viworks[server]" in done.stderr
    assert "Traceback" not in done.stderr


def test_version() -> None:
    assert viworks("version").stdout.strip() == "0.1.0"


def test_status_where_nothing_runs(tmp_path: Path) -> None:
    done = viworks("status", "--data", str(tmp_path))
    assert done.returncode == 1
    assert f"Nothing is running in {tmp_path}." in done.stderr


def test_an_unknown_part_is_told() -> None:
    done = viworks("run", "engine")
    assert done.returncode == 1
    assert "There is no part 'engine': it is one of edge, processors, sink, console, delivery, demo." in done.stderr
    with pytest.raises(PartUnknown):
        run_part("engine")


def test_a_setting_that_does_not_fit_is_named_without_its_value(tmp_path: Path) -> None:
    done = viworks("up", "--data", str(tmp_path), VIWORKS_SQL_PORT="s3cret")
    assert done.returncode == 1
    assert "VIWORKS_SQL_PORT" in done.stderr
    assert "s3cret" not in done.stderr
    assert "Traceback" not in done.stderr


def test_an_unknown_demo_client_is_told(tmp_path: Path) -> None:
    assert "is not a simulated client" in viworks("demo", "stop", "../x", "--data", str(tmp_path)).stderr


def test_options_win_over_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VIWORKS_KAFKA", "")
    monkeypatch.setenv("VIWORKS_DEMO", "7")
    assert InfraSettings.load().kafka is None
    assert InfraSettings.load().demo == 7
    assert InfraSettings.load(demo=9).demo == 9
    with pytest.raises(SettingsInvalid, match="VIWORKS_DEMO"):
        InfraSettings.load(demo=-1)


def test_the_lock_names_its_holder(tmp_path: Path) -> None:
    assert holder(tmp_path) is None
    with DataLock(tmp_path):
        assert holder(tmp_path) == os.getpid()
        with pytest.raises(DataDirectoryInUse, match=str(os.getpid())), DataLock(tmp_path):
            pass
    assert holder(tmp_path) is None


async def test_readiness_arrives(tmp_path: Path) -> None:
    inbox = Inbox(tmp_path / "socket")
    await inbox.open()
    try:
        environ = {"NOTIFY_SOCKET": str(tmp_path / "socket")}
        notify("STATUS=nearly", environ)
        notify(f"STATUS=there\n{READY}", environ)
        await asyncio.wait_for(inbox.ready.wait(), 10)
    finally:
        inbox.close()
    assert not (tmp_path / "socket").exists()


def test_readiness_is_nobodys_business_without_a_socket(tmp_path: Path) -> None:
    notify(READY, {})
    notify(READY, {"NOTIFY_SOCKET": str(tmp_path / "absent")})


@pytest.mark.skipif(sys.platform != "linux", reason="abstract socket names are Linux's")
def test_readiness_reaches_an_abstract_socket() -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listener:
        listener.bind(f"\0viworks-test-{os.getpid()}")
        listener.settimeout(10)
        notify(READY, {"NOTIFY_SOCKET": f"@viworks-test-{os.getpid()}"})
        assert listener.recv(100) == READY.encode()


PART = """
import asyncio
from infra.parts import until_stopped

async def serve():
    print("serving", flush=True)
    try:
        await asyncio.Event().wait()
    finally:
        print("cleaned up", flush=True)

raise SystemExit(asyncio.run(until_stopped("stub", serve())))
"""


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_a_part_cleanly(number: signal.Signals) -> None:
    with subprocess.Popen([sys.executable, "-c", PART], cwd=ROOT, stdout=subprocess.PIPE, text=True) as part:
        assert part.stdout
        assert part.stdout.readline() == "serving\n"
        part.send_signal(number)
        assert part.stdout.read() == "cleaned up\n"
        assert part.wait(10) == 0


async def test_a_fault_of_a_part_is_logged_and_its_status_is_one(caplog: pytest.LogCaptureFixture) -> None:
    async def fail() -> None:
        raise RuntimeError("the tide is out")

    assert await until_stopped("stub", fail()) == 1
    assert "the tide is out" in caplog.text


def test_a_record_is_one_line_and_can_be_read_back() -> None:
    try:
        raise ValueError("two\nlines")
    except ValueError:
        record = logging.LogRecord("a.b", logging.ERROR, "", 0, 'said "%s"', ("hi",), sys.exc_info())
    line = LogfmtFormatter().format(record)
    assert "\n" not in line
    assert 'level=error logger=a.b message="said \\"hi\\""' in line
    assert 'said "hi"' in readable(line)
    assert readable(line).endswith('ValueError: two\nlines"')
    assert json.loads(line.partition("exception=")[2]).endswith("two\nlines")
