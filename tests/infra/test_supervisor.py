"""The supervisor as a process: what it starts, what it writes, and that it leaves nothing behind."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from infra import run_file
from infra.kafka import EmbeddedKafka
from infra.keeper import LONGEST_WAIT_S, backoff_s
from infra.ports import free_port
from tests.infra.waiting import alive, eventually

HERE = Path(__file__).parent
ROOT = HERE.parent.parent
PORTS = ("EDGE_PORT", "EDGE_TLS_PORT", "SQL_PORT", "CONSOLE_PORT", "METRICS_PORT", "KAFKA_PORT")


def stub(name: str, stage: int, *behaviour: str) -> list[Any]:
    return [name, stage, [sys.executable, str(HERE / "stub_part.py"), *behaviour]]


PARTS = [stub("processors", 1, "live"), stub("sink", 1, "live"), stub("edge", 2, "live"), stub("console", 2, "live")]


@dataclass
class Supervised:
    """A running supervisor process and what belongs to it."""

    process: subprocess.Popen[str]
    data_dir: Path

    def run_json(self) -> dict[str, Any] | None:
        return run_file.read(self.data_dir)

    def until_up(self) -> dict[str, Any]:
        def up_or_ended() -> bool:
            return self.run_json() is not None or self.process.poll() is not None

        eventually(up_or_ended, "run.json", 60)
        content = self.run_json()
        assert content is not None, self.ended()
        return content

    def pids(self) -> list[int]:
        content = self.run_json()
        assert content is not None
        found = content["pids"]
        single = [found[name] for name in ("kafka", "sink", "console") if found[name]]
        return [*single, *found["edge"], *found["processors"]]

    def ended(self) -> str:
        output, _ = self.process.communicate(timeout=60)
        return output


@dataclass
class Launcher:
    """Starts supervisors on free ports."""

    data_dir: Path
    kafka: str
    started: list[Supervised]

    def __call__(self, parts: list[list[Any]], *, kafka: str | None = None, **environment: str) -> Supervised:
        ports = {f"VIWORKS_{name}": str(free_port()) for name in PORTS}
        arguments = [str(self.data_dir), self.kafka if kafka is None else kafka, json.dumps(parts)]
        process = subprocess.Popen(
            [sys.executable, "-m", "tests.infra.supervised", *arguments],
            cwd=ROOT,
            env={**os.environ, **ports, **environment},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        self.started.append(Supervised(process, self.data_dir))
        return self.started[-1]


@pytest.fixture
def launch(tmp_path: Path, kafka: EmbeddedKafka) -> Iterator[Launcher]:
    """Starts supervisors that use the run's broker; ends them afterwards."""
    launcher = Launcher(tmp_path / "data", kafka.bootstrap, [])
    yield launcher
    for supervised in launcher.started:
        if supervised.process.poll() is None:
            supervised.process.kill()
        supervised.process.communicate()


def test_run_json_names_what_runs_and_goes_with_it(launch: Launcher) -> None:
    supervised = launch(PARTS)
    content = supervised.until_up()
    assert set(content) == {
        "edge", "edge_tls", "sql", "sql_token_file", "console", "kafka", "registry", "metrics", "pids",
    }  # fmt: skip
    assert set(content["pids"]) == {"kafka", "edge", "processors", "sink", "console"}
    assert content["kafka"] == launch.kafka
    assert content["pids"]["kafka"] is None
    assert len(content["pids"]["edge"]) == len(content["pids"]["processors"]) == 1
    assert Path(content["sql_token_file"]).read_text()
    assert all(alive(pid) for pid in supervised.pids())
    supervised.process.send_signal(signal.SIGTERM)
    output = supervised.ended()
    assert supervised.process.returncode == 0, output
    assert supervised.run_json() is None
    assert "ViWorkS is up" in output
    assert "curl -u" in output


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_leaves_no_process(launch: Launcher, number: signal.Signals) -> None:
    supervised = launch(PARTS)
    supervised.until_up()
    pids = supervised.pids()
    supervised.process.send_signal(number)
    assert supervised.process.wait(30) == 0
    assert not [pid for pid in pids if alive(pid)]


def test_a_killed_supervisor_leaves_no_process(launch: Launcher) -> None:
    supervised = launch(PARTS, kafka="")
    supervised.until_up()
    pids = supervised.pids()
    assert len(pids) == 5
    supervised.process.kill()
    eventually(lambda: not [pid for pid in pids if alive(pid)], "the parts to end with their supervisor")


def test_a_part_that_dies_is_started_again(launch: Launcher) -> None:
    supervised = launch(PARTS)
    first = supervised.until_up()["pids"]["edge"]
    os.kill(first[0], signal.SIGKILL)

    def replaced() -> bool:
        content = supervised.run_json()
        return bool(content and content["pids"]["edge"] and content["pids"]["edge"] != first)

    eventually(replaced, "another edge in run.json")
    supervised.process.terminate()
    output = supervised.ended()
    assert "edge ended (signal 9); starting it again in 0.5 s" in output
    assert "edge runs again" in output


def test_a_broker_that_dies_is_started_again_on_its_port(launch: Launcher) -> None:
    supervised = launch([stub("edge", 1, "live")], kafka="")
    before = supervised.until_up()
    os.kill(before["pids"]["kafka"], signal.SIGKILL)

    def replaced() -> bool:
        content = supervised.run_json()
        return bool(content and content["pids"]["kafka"] not in (None, before["pids"]["kafka"]))

    eventually(replaced, "another broker in run.json", 60)
    content = supervised.run_json()
    assert content is not None
    assert content["kafka"] == before["kafka"]


def test_a_part_that_cannot_start_is_an_error_with_its_log(launch: Launcher) -> None:
    supervised = launch([stub("sink", 1, "live"), stub("edge", 2, "die-before-ready")])
    output = supervised.ended()
    assert supervised.process.returncode == 1
    assert "The part edge ended while it started (status 1)" in output
    assert "the stub cannot start" in output
    assert supervised.run_json() is None


def test_a_part_that_stays_silent_is_an_error(launch: Launcher) -> None:
    supervised = launch([stub("edge", 1, "silent")], VIWORKS_START_TIMEOUT_S="2")
    assert "The part edge did not report ready within 2 s" in supervised.ended()


def test_a_stubborn_part_is_killed(launch: Launcher) -> None:
    supervised = launch([stub("edge", 1, "stubborn")], VIWORKS_STOP_TIMEOUT_S="0.5")
    supervised.until_up()
    pids = supervised.pids()
    supervised.process.terminate()
    assert supervised.process.wait(10) == 0
    assert not [pid for pid in pids if alive(pid)]


def test_a_second_signal_hastens_the_stop(launch: Launcher) -> None:
    supervised = launch([stub("edge", 1, "stubborn")], VIWORKS_STOP_TIMEOUT_S="300")
    supervised.until_up()
    supervised.process.send_signal(signal.SIGINT)
    eventually(lambda: supervised.run_json() is None, "the stop to begin")
    supervised.process.send_signal(signal.SIGINT)
    assert supervised.process.wait(10) == 0


def test_a_signal_during_the_start_leaves_no_process(launch: Launcher) -> None:
    supervised = launch([stub("sink", 1, "live"), stub("edge", 2, "silent")])
    log = supervised.data_dir / "logs" / "edge.log"
    eventually(lambda: log.exists() and "stub silent" in log.read_text(), "the silent edge")
    supervised.process.terminate()
    assert supervised.process.wait(10) == 0
    eventually(lambda: not stubs_in(supervised.data_dir), "no stub left")


def test_one_supervisor_a_data_directory(launch: Launcher) -> None:
    first = launch(PARTS)
    first.until_up()
    second = launch(PARTS)
    output = second.ended()
    assert second.process.returncode == 1
    assert f"is in use by the viworks process {first.process.pid}" in output
    assert first.process.poll() is None
    assert first.run_json() is not None


def test_a_taken_port_is_named_with_its_setting(launch: Launcher, kafka: EmbeddedKafka) -> None:
    taken = kafka.bootstrap.rpartition(":")[2]
    output = launch(PARTS, VIWORKS_SQL_PORT=taken).ended()
    assert f"Port {taken} (SQL) is taken" in output
    assert "VIWORKS_SQL_PORT" in output


def test_an_absent_external_broker_is_named(launch: Launcher) -> None:
    output = launch(PARTS, kafka=f"127.0.0.1:{free_port()}", VIWORKS_START_TIMEOUT_S="1").ended()
    assert "No Kafka broker answers at 127.0.0.1" in output


def test_waits_between_restarts_double_up_to_a_bound() -> None:
    waits = [backoff_s(failures) for failures in range(100)]
    assert waits[:4] == [0.5, 1.0, 2.0, 4.0]
    assert max(waits) == LONGEST_WAIT_S


def stubs_in(data_dir: Path) -> list[str]:
    """The command lines of the stubs whose environment names ``data_dir``."""
    needle = f"VIWORKS_DATA_DIR={data_dir}".encode()
    found = []
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            if needle in (entry / "environ").read_bytes().split(b"\0") and b"stub_part" in (entry / "cmdline").read_bytes():
                found.append(entry.name)
        except OSError:
            continue
    return found
