"""``viworks receivers`` as its user sees it, and the part under the supervisor's rules."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
from pathlib import Path

from infra.settings import InfraSettings
from infra.supervisor import Supervisor
from infra.terminal import Terminal
from tests.processors.delivery.http_receiver import receiving, status
from tests.processors.delivery.samples import SECRET


async def receivers(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "infra", "receivers", *arguments]
    own = {**os.environ, **environment}
    return await asyncio.to_thread(subprocess.run, command, env=own, capture_output=True, text=True, timeout=60, check=False)


def written(directory: Path, url: str) -> Path:
    path = directory / "receivers.yaml"
    (directory / "secret").write_text(SECRET)
    path.write_text(f"receivers:\n  - {{name: soc, type: webhook, url: '{url}', secret_file: secret, timeout_s: 5}}\n")
    return path


async def test_a_file_is_checked_and_a_receiver_tested(tmp_path: Path) -> None:
    async with receiving() as receiver:
        path = written(tmp_path, receiver.url + "/t0ken")
        checked = await receivers("check", str(path))
        assert (checked.returncode, checked.stderr) == (0, "")
        assert checked.stdout == "soc: webhook, info and above, all rules, firing, acknowledged, resolved\n"

        receiver.answers = [status(200, body=b"thank you\x1b[31m")]
        done = await receivers("test", "soc", VIWORKS_RECEIVERS=str(path))
        assert done.returncode == 0, done.stderr
        first, second = done.stdout.splitlines()
        assert first.startswith("soc took the test alert ")
        assert first.endswith(".firing: 200")
        assert second == "    thank you [31m"
        assert receiver.requests[0].json()["finding_info"]["types"] == ["delivery_test"]

        receiver.answers = [status(401)]
        refused = await receivers("test", "soc", "--file", str(path))
        assert (refused.returncode, "soc did not take the test alert: 401." in refused.stderr) == (1, True)
        assert "t0ken" not in refused.stderr
    unknown = await receivers("test", "siem", "--file", str(path))
    assert (unknown.returncode, "There is no such receiver" in unknown.stderr) == (1, True)


async def test_what_does_not_fit_is_listed(tmp_path: Path) -> None:
    path = written(tmp_path, "http://soc.example/")
    done = await receivers("check", str(path))
    assert done.returncode == 1
    assert f"{path}:2: url is not https://" in done.stderr
    nothing = await receivers("check", VIWORKS_RECEIVERS="")
    assert (nothing.returncode, "No receivers file is named" in nothing.stderr) == (1, True)
    assert "Traceback" not in done.stderr + nothing.stderr


def test_the_part_runs_only_where_a_file_is_named(tmp_path: Path) -> None:
    def parts(receivers: Path | None) -> set[str]:
        settings = InfraSettings(data_dir=tmp_path, kafka="127.0.0.1:1", receivers=receivers)
        return {part.name for part in Supervisor(settings, Terminal())._parts}

    assert parts(tmp_path / "receivers.yaml") - parts(None) == {"delivery"}
