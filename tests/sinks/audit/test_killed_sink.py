"""The real sink on the real broker, killed in the middle of its work: what it leaves is one sound log, in every copy."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import json
import time
import uuid
from collections.abc import AsyncIterator
from pathlib import Path
from random import Random

import clickhouse_connect
import msgspec
import pytest
from typer.testing import CliRunner

from infra import audit_log
from infra.audit_commands import audit_app
from infra.kafka import EmbeddedKafka
from infra.settings import InfraSettings
from infra.sql_tokens import local_token
from sinks.audit.report import Report
from tests.deadline import eventually
from tests.sinks.audit.log import KEY
from tests.sinks.samples import audit, row
from tests.sinks.sink_process import SinkProcess, produce


class KilledSink:
    """A sink that seals many times a second, and how many records were written for it."""

    def __init__(self, bootstrap: str, directory: Path) -> None:
        key = directory / "audit.key"
        key.write_bytes(base64.b64encode(bytes(KEY)))
        self.bootstrap = bootstrap
        self.process = SinkProcess(
            bootstrap,
            directory,
            f"sinks-{uuid.uuid4()}",
            audit_key_file=str(key),
            audit_checkpoint_interval_s="0.2",
            sink_linger_ms="20",
        )
        self.name = f"killed-{uuid.uuid4()}"
        self.sent = 0
        self.settings = InfraSettings.load(data_dir=directory / "data")

    @contextlib.asynccontextmanager
    async def records_coming(self) -> AsyncIterator[None]:
        """Records are written all the while."""
        running = True

        async def keep_producing() -> None:
            while running:
                rows = [row("audit", audit(str(uuid.uuid4()), subject=self.name), 0) for _ in range(20)]
                await produce(self.bootstrap, rows)
                self.sent += len(rows)

        task = asyncio.create_task(keep_producing())
        try:
            yield
        finally:
            running = False
            await task

    async def start(self) -> None:
        await self.process.start()
        content = {"sql": f"http://127.0.0.1:{self.process.port}", "kafka": self.bootstrap}
        (self.settings.data_dir / "run.json").write_text(json.dumps(content))

    async def ask(self, sql: str) -> list[int]:
        """The numbers of a row, as an auditor gets them."""
        port, token = self.process.port, local_token(self.settings.data_dir, "auditor")
        client = await asyncio.to_thread(
            clickhouse_connect.get_client, host="127.0.0.1", port=port, username="a", password=token, database="viworks"
        )
        (row,) = (await asyncio.to_thread(client.query, sql)).result_rows
        return [int(number) for number in row]

    async def written(self) -> int:
        (count,) = await self.ask(f"SELECT count() FROM audit WHERE subject = '{self.name}'")
        return count

    async def all_sealed(self) -> None:
        """Wait until every record is in the table, and under a checkpoint."""

        async def done() -> bool:
            # Each query is an audit record, so the end of the log is never reached.
            last_of_ours = f"SELECT max(_position) FROM audit_log WHERE subject = '{self.name}'"
            sql = f"SELECT ({last_of_ours}), (SELECT max(records) FROM audit_checkpoints)"
            last, sealed = await self.ask(sql)
            return await self.written() == self.sent and last < sealed

        await eventually(done, 30)

    async def verified(self) -> Report:
        source = await audit_log.running(self.settings)
        assert source.compared == ["file", "topic", "table"]
        return await asyncio.to_thread(audit_log.verified, source, None, [], time.time_ns() // 1_000_000)


async def kill_in_the_middle(sink: KilledSink, rounds: int) -> None:
    random = Random(rounds)
    async with sink.records_coming():
        for _ in range(rounds):
            await sink.start()
            before = await sink.written()
            await _more_than(sink, before)
            await asyncio.wait([asyncio.create_task(asyncio.sleep(random.random() / 2))])
            await sink.process.kill()
    await sink.start()
    await sink.all_sealed()


async def _more_than(sink: KilledSink, before: int) -> None:
    async def more() -> bool:
        return await sink.written() > before

    await eventually(more, 30)


async def test_a_killed_sink_leaves_a_sound_log(own_kafka: EmbeddedKafka, tmp_path: Path) -> None:
    sink = KilledSink(own_kafka.bootstrap, tmp_path)
    try:
        await kill_in_the_middle(sink, 2)
        report = await sink.verified()
        assert report.faults == ()
        assert report.newest
        assert report.records >= report.newest.records >= sink.sent == await sink.written()
        for form in audit_log.FORMATS:
            await _an_export_is_as_good(sink, form)
        assert await sink.process.stop() == 0
    finally:
        await sink.process.kill()


@pytest.mark.long
async def test_a_sink_that_is_killed_often_leaves_a_sound_log(own_kafka: EmbeddedKafka, tmp_path: Path) -> None:
    sink = KilledSink(own_kafka.bootstrap, tmp_path)
    try:
        await kill_in_the_middle(sink, 40)
        assert (await sink.verified()).faults == ()
    finally:
        await sink.process.kill()


async def _an_export_is_as_good(sink: KilledSink, form: str) -> None:
    directory = sink.process.directory / form
    data = ["--data", str(sink.settings.data_dir)]
    made = await _viworks("export", str(directory), "--format", form, *data)
    assert made.exit_code == 0, made.output
    sound = await _viworks("verify", "--from", str(directory))
    assert (sound.exit_code, sound.output.partition(":")[0]) == (0, "sound")
    if form == "ndjson":
        position = _edit(directory / "records.ndjson")
        broken = await _viworks("verify", "--from", str(directory))
        assert broken.exit_code == 1
        assert f"First broken: Record {position} " in broken.output
        assert "subject differs from the bytes" in broken.output


def _edit(path: Path) -> int:
    lines = path.read_bytes().splitlines()
    number = len(lines) // 2
    record = msgspec.json.decode(lines[number])
    lines[number] = msgspec.json.encode(record | {"subject": "somebody else"})
    path.write_bytes(b"\n".join(lines) + b"\n")
    return int(record["_position"])


async def _viworks(*arguments: str):  # type: ignore[no-untyped-def]
    return await asyncio.to_thread(CliRunner().invoke, audit_app, list(arguments))
