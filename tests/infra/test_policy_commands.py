"""``viworks policy`` as its user sees it, through a worker on the real broker."""

from __future__ import annotations

import asyncio
import json
import os
import re
import subprocess
import sys
import uuid
from pathlib import Path

from infra.kafka import EmbeddedKafka
from infra.ports import free_port
from tests.processors.harness import worker_settings, working


async def policy(bootstrap: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "infra", "policy", *arguments]
    environment = {**os.environ, "VIWORKS_KAFKA": bootstrap}
    return await asyncio.to_thread(
        subprocess.run, command, env=environment, capture_output=True, text=True, timeout=60, check=False
    )


def version_of(done: subprocess.CompletedProcess[str]) -> int:
    assert done.returncode == 0, done.stderr
    found = re.fullmatch(r"policy\.(?:set|delete) \S+: version (\d+)\n", done.stdout)
    assert found, done.stdout
    return int(found[1])


async def test_a_policy_is_set_shown_listed_and_deleted(kafka: EmbeddedKafka, tmp_path: Path) -> None:
    name = f"cli-{uuid.uuid4().hex[:8]}"
    arguments = ["--interval", "45", "--label", f"site={name}", "--reporting", "events", "--key-max-age", "86400"]
    arguments += ["--maintenance-max", "600", "--gone-after", "86400"]
    async with working(worker_settings(kafka.bootstrap, tmp_path)):
        version = version_of(await policy(kafka.bootstrap, "set", name, *arguments, "--actor", "somebody"))
        shown = json.loads((await policy(kafka.bootstrap, "show", name)).stdout)
        assert shown.pop("timestamp") > 0
        assert shown == {
            "policy_id": name, "version": version, "heartbeat_interval": 45, "selector": {"label": f"site={name}"},
            "actor": "somebody", "reporting": ["events"], "key_max_age_s": 86_400, "priority": 0,
            "maintenance_max": 600, "gone_after": 86_400,
        }  # fmt: skip

        refused = await policy(kafka.bootstrap, "set", name, "--interval", "5")
        assert (refused.returncode, refused.stdout) == (1, "")
        assert "Refused: heartbeat_interval: Expected `int` >= 15." in refused.stderr
        [row] = [line for line in (await policy(kafka.bootstrap, "list")).stdout.splitlines() if name in line]
        assert row.split()[:3] == [name, str(version), "45"]

        assert version_of(await policy(kafka.bootstrap, "delete", name)) == version + 1
        assert name not in (await policy(kafka.bootstrap, "list")).stdout
        again = await policy(kafka.bootstrap, "delete", name)
        assert (again.returncode, "there is no such policy" in again.stderr) == (1, True)
    unknown = await policy(kafka.bootstrap, "show", name)
    assert (unknown.returncode, "There is no such policy" in unknown.stderr) == (1, True)


async def test_where_nothing_runs_it_is_told(tmp_path: Path) -> None:
    nothing = await policy("", "list", "--data", str(tmp_path))
    assert (nothing.returncode, "Nothing is running" in nothing.stderr) == (1, True)
    away = await policy(f"127.0.0.1:{free_port()}", "list")
    assert (away.returncode, "No Kafka broker answers" in away.stderr) == (1, True)
    assert "Traceback" not in nothing.stderr + away.stderr
