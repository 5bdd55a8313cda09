"""Holds and retention as their user gives the orders: the command, the real broker, a running sink, and back."""

from __future__ import annotations

import asyncio
import base64
import json
import uuid
from pathlib import Path
from typing import NamedTuple

from clickhouse_connect.driver import Client
from typer.testing import CliRunner

from infra import run_file
from infra.commands import app
from infra.errors import InfraError
from infra.kafka import EmbeddedKafka
from tests.deadline import eventually
from tests.sinks.samples import HOUR_MS, event, heartbeat, now_ms, row
from tests.sinks.sink_process import SinkProcess, produce


class Done(NamedTuple):
    """What a command came to: its output, or its one sentence of error."""

    status: int
    out: str


async def viworks(data: Path, *arguments: str) -> Done:
    """The command, in a thread of this process: an interpreter of its own for each would take most of the test."""
    result = await asyncio.to_thread(CliRunner().invoke, app, [*arguments, "--data", str(data)])
    if result.exception and not isinstance(result.exception, SystemExit | InfraError):
        raise result.exception
    return Done(result.exit_code, f"{result.output}{result.exception or ''}")


async def test_a_hold_is_set_and_released_and_what_expired_is_dropped(own_kafka: EmbeddedKafka, tmp_path: Path) -> None:
    name, held = f"case-{uuid.uuid4().hex[:8]}", f"held-{uuid.uuid4()}"
    key, data = tmp_path / "audit.key", tmp_path / "data"
    key.write_bytes(base64.b64encode(bytes(32)))
    settings = {"audit_key_file": str(key), "audit_checkpoint_interval_s": "1"}
    async with SinkProcess(own_kafka.bootstrap, tmp_path, f"sinks-{uuid.uuid4()}", **settings) as sink:
        run_file.write(data, {"kafka": own_kafka.bootstrap, "sql": f"http://127.0.0.1:{sink.port}"})
        await produce(own_kafka.bootstrap, [row("event", event(held, "e1"), 0)])
        client = await sink.client()
        await sink.count(client, "events", held, 1, within_s=60)

        done = await viworks(data, "hold", "set", name, "--client", held, "--reason", "a test", "--actor", "somebody")
        assert (done.status, done.out.split()[:6]) == (0, ["hold", name, "is", "in", "force;", "found:"]), done.out
        assert "events                             1 rows" in done.out
        listed = await viworks(data, "hold", "list")
        assert f"{name}  {held}  any time to any time" in listed.out, listed.out
        taken = await viworks(data, "hold", "set", name, "--client", "another")
        assert (taken.status, "names other rows" in taken.out) == (1, True)

        # What has expired is shown to nobody, so its part is looked for.
        past = now_ms() - 25 * HOUR_MS
        await produce(own_kafka.bootstrap, [row("heartbeat", heartbeat(held, timestamp=past, received_at=past), 0)])
        lying = "SELECT sum(rows) FROM system.parts WHERE active AND database = 'viworks' AND table = 'heartbeats'"
        await eventually(lambda: asyncio.to_thread(client.command, lying), 30, "the heartbeat is in the table")
        swept = await viworks(data, "retention", "run")
        assert swept.status == 0, swept.out
        assert (
            await asyncio.to_thread(client.command, f"SELECT count() FROM held_heartbeats WHERE client_id = '{held}'") == 1
        )
        shown = await viworks(data, "retention", "--json")
        report = json.loads(shown.out)
        heartbeats = next(each for each in report["tables"] if each["table"] == "heartbeats")
        assert (heartbeats["kept"], heartbeats["past_time"], heartbeats["holds"]) == ("24 HOUR", 0, [name])
        assert [each for each in report["topics"] if each["fault"]] == []
        assert (await viworks(data, "retention")).out.startswith("table")

        released = await viworks(data, "hold", "release", name)
        assert (released.status, "is released" in released.out) == (0, True), released.out
        actions = await eventually(lambda: audited(client, name), 30, "the orders are audited")
        assert actions == [("hold.set", "accepted"), ("hold.set", "refused"), ("hold.release", "accepted")]
        drops = "SELECT count() FROM audit WHERE action = 'retention_drop' AND subject = 'heartbeats' AND outcome = 'done'"
        await eventually(lambda: asyncio.to_thread(client.command, drops), 30, "the drop is audited")
    await assert_verifiable(data)


async def assert_verifiable(data: Path) -> None:
    """The manifest is sound where it lies, and no more when one letter of it is another."""
    verified = await viworks(data, "retention", "verify")
    assert (verified.status, verified.out.startswith("sound: ")) == (0, True), verified.out
    manifest = data / "retention" / "manifest.jsonl"
    manifest.write_bytes(manifest.read_bytes().replace(b"heartbeats", b"heartbeatz", 1))
    broken = await viworks(data, "retention", "verify")
    assert (broken.status, "Entry 0: its signature is wrong." in broken.out) == (1, True)
    missing = await viworks(data.parent, "retention", "verify")
    assert (missing.status, "cannot be verified" in missing.out) == (1, True)


async def audited(client: Client, name: str) -> list[tuple[str, str]]:
    sql = "SELECT action, outcome FROM audit WHERE subject = {name:String} ORDER BY _offset"
    result = await asyncio.to_thread(client.query, sql, parameters={"name": name})
    found = [(str(action), str(outcome)) for action, outcome in result.result_rows]
    return found if len(found) == 3 else []
