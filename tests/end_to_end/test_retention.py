"""Holds and retention as their user gives the orders: the command, the real broker, a running sink, and back."""

from __future__ import annotations

import asyncio
import base64
import json
import os
import subprocess
import sys
import uuid
from pathlib import Path

from clickhouse_connect.driver import Client

from infra import run_file
from infra.kafka import EmbeddedKafka
from tests.deadline import eventually
from tests.sinks.samples import HOUR_MS, event, heartbeat, now_ms, row
from tests.sinks.sink_process import SinkProcess, produce


async def viworks(data: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    environment = {name: value for name, value in os.environ.items() if not name.startswith("VIWORKS_")}
    command = [sys.executable, "-m", "infra", *arguments, "--data", str(data)]
    return await asyncio.to_thread(
        subprocess.run, command, env=environment, capture_output=True, text=True, timeout=90, check=False
    )


async def test_a_hold_is_set_and_released_and_what_expired_is_dropped(kafka: EmbeddedKafka, tmp_path: Path) -> None:
    name, held = f"case-{uuid.uuid4().hex[:8]}", f"held-{uuid.uuid4()}"
    key, data = tmp_path / "audit.key", tmp_path / "data"
    key.write_bytes(base64.b64encode(bytes(32)))
    settings = {"audit_key_file": str(key), "audit_checkpoint_interval_s": "1"}
    async with SinkProcess(kafka.bootstrap, tmp_path, f"sinks-{uuid.uuid4()}", **settings) as sink:
        run_file.write(data, {"kafka": kafka.bootstrap, "sql": f"http://127.0.0.1:{sink.port}"})
        past = now_ms() - 25 * HOUR_MS
        await produce(kafka.bootstrap, [row("event", event(held, "e1"), 0)])
        await produce(kafka.bootstrap, [row("heartbeat", heartbeat(held, timestamp=past, received_at=past), 0)])
        client = await sink.client()
        await sink.count(client, "events", held, 1, within_s=60)

        done = await viworks(data, "hold", "set", name, "--client", held, "--reason", "a test", "--actor", "somebody")
        assert (done.returncode, f"hold {name} is in force" in done.stdout) == (0, True), done.stderr
        listed = await viworks(data, "hold", "list")
        assert f"{name}  {held}  any time to any time" in listed.stdout, listed.stderr
        taken = await viworks(data, "hold", "set", name, "--client", "another")
        assert (taken.returncode, "names other rows" in taken.stderr) == (1, True)

        swept = await viworks(data, "retention", "run")
        assert swept.returncode == 0, swept.stdout + swept.stderr
        assert (
            await asyncio.to_thread(client.command, f"SELECT count() FROM held_heartbeats WHERE client_id = '{held}'") == 1
        )
        shown = await viworks(data, "retention", "--json")
        report = json.loads(shown.stdout)
        heartbeats = next(each for each in report["tables"] if each["table"] == "heartbeats")
        assert (heartbeats["kept"], heartbeats["past_time"], heartbeats["holds"]) == ("24 HOUR", 0, [name])
        assert [each for each in report["topics"] if each["fault"]] == []
        assert (await viworks(data, "retention")).stdout.startswith("table")

        released = await viworks(data, "hold", "release", name)
        assert (released.returncode, "is released" in released.stdout) == (0, True), released.stderr
        actions = await eventually(lambda: audited(client, name), 30, "the orders are audited")
        assert actions == [("hold.set", "accepted"), ("hold.set", "refused"), ("hold.release", "accepted")]
        drops = "SELECT count() FROM audit WHERE action = 'retention_drop' AND subject = 'heartbeats' AND outcome = 'done'"
        await eventually(lambda: asyncio.to_thread(client.command, drops), 30, "the drop is audited")
    verified = await viworks(data, "retention", "verify")
    assert (verified.returncode, verified.stdout.startswith("sound: ")) == (0, True), verified.stdout
    manifest = data / "retention" / "manifest.jsonl"
    manifest.write_bytes(manifest.read_bytes().replace(b"heartbeats", b"heartbeatz", 1))
    broken = await viworks(data, "retention", "verify")
    assert (broken.returncode, "Entry 0: its signature is wrong." in broken.stdout) == (1, True)
    missing = await viworks(tmp_path, "retention", "verify")
    assert (missing.returncode, "cannot be verified" in missing.stderr) == (1, True)


async def audited(client: Client, name: str) -> list[tuple[str, str]]:
    sql = "SELECT action, outcome FROM audit WHERE subject = {name:String} ORDER BY _offset"
    result = await asyncio.to_thread(client.query, sql, parameters={"name": name})
    found = [(str(action), str(outcome)) for action, outcome in result.result_rows]
    return found if len(found) == 3 else []
