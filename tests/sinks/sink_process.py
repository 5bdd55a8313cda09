"""A sink as the supervisor starts it, in a process of its own, so that it can be killed."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType

import clickhouse_connect
from aiokafka import AIOKafkaProducer
from clickhouse_connect.driver import Client

from infra.ports import free_port
from infra.sql_tokens import local_token
from tests.deadline import eventually
from tests.sinks.samples import Row
from tests.sinks.warehouse import STORAGE_KEY

TOKEN = "the-token-of-the-tests"
ROOT = Path(__file__).parents[2]

_SERVE = """
import asyncio, contextlib, logging, signal
from sinks.server import serve
from sinks.settings import SinkSettings

async def main():
    task = asyncio.ensure_future(serve(SinkSettings(), lambda: print("ready", flush=True)))
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, task.cancel)
    with contextlib.suppress(asyncio.CancelledError):
        await task

logging.basicConfig(format="%(asctime)s %(levelname)s:%(name)s:%(message)s")
asyncio.run(main())
"""
_ASK = """
import sys
from sinks.engine import open_engine
from sinks.settings import SinkSettings

engine = open_engine(SinkSettings())
print(engine.session().rows(sys.argv[1])[0][0])
"""


class SinkProcess:
    """Use as an async context manager; it may be started again after ``kill``."""

    def __init__(self, bootstrap: str, directory: Path, group: str, **settings: str) -> None:
        """``settings``: further ``VIWORKS_*`` variables, without the prefix."""
        self.directory = directory
        self.log = directory / "sink.log"
        self.port = free_port()
        key, token = directory / "storage.key", directory / "token"
        key.write_text(STORAGE_KEY)
        token.write_text(TOKEN)
        self._environment = os.environ | {
            "PYTHONPATH": str(ROOT),
            "VIWORKS_DATA_DIR": str(directory / "data"),
            "VIWORKS_KAFKA": bootstrap,
            "VIWORKS_STORAGE_KEY_FILE": str(key),
            "VIWORKS_SQL_TOKEN_FILE": str(token),
            "VIWORKS_SQL_PORT": str(self.port),
            "VIWORKS_SINK_GROUP": group,
            **{f"VIWORKS_{name.upper()}": value for name, value in settings.items()},
        }
        self._process: asyncio.subprocess.Process | None = None

    async def __aenter__(self) -> SinkProcess:
        await self.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.kill()

    async def start(self) -> None:
        """Return when it takes rows and its SQL port answers."""
        self._process = await self._spawn("-c", _SERVE)
        assert self._process.stdout
        line = await asyncio.wait_for(self._process.stdout.readline(), 60)
        assert line == b"ready\n", self.log.read_text()

    async def kill(self) -> None:
        """End it as a crash does."""
        process, self._process = self._process, None
        if process:
            if process.returncode is None:
                process.kill()
            await process.wait()

    @property
    def pid(self) -> int:
        """The process id of the last start."""
        assert self._process
        return self._process.pid

    async def ended(self) -> int:
        """Wait for its end, whatever ends it, and return its exit status, negative for a signal."""
        assert self._process
        return await self._process.wait()

    def send(self, number: signal.Signals) -> None:
        """Send the process a signal."""
        assert self._process
        self._process.send_signal(number)

    async def stop(self) -> int:
        """End it as the supervisor does, and return its exit status."""
        assert self._process
        process, self._process = self._process, None
        process.terminate()
        return await asyncio.wait_for(process.wait(), 30)

    async def second_start(self) -> str:
        """What a second process on the same directory says before it ends."""
        process = await self._spawn("-c", _SERVE)
        await asyncio.wait_for(process.wait(), 30)
        return self.log.read_text()

    async def ask_files(self, sql: str) -> str:
        """One value, read from the directory while no sink runs on it, without the port's FINAL and filters."""
        process = await self._spawn("-c", _ASK, sql)
        out, _ = await asyncio.wait_for(process.communicate(), 30)
        return out.decode().strip()

    async def client(self) -> Client:
        """A client over HTTP that sees everything, as an admin does."""
        return await asyncio.to_thread(
            clickhouse_connect.get_client,
            host="127.0.0.1",
            port=self.port,
            username="admin",
            password=local_token(self.directory / "data", "admin"),
            database="viworks",
        )

    async def reachable(self) -> None:
        """Return when its SQL port answers again."""

        async def answers() -> bool:
            try:
                _, writer = await asyncio.open_connection("127.0.0.1", self.port)
            except OSError:
                return False
            writer.close()
            return True

        await eventually(answers, 30, "the SQL port answers")

    async def count(self, client: Client, table: str, client_id: str, at_least: int, within_s: float) -> int:
        """How many rows of a client there are, once there are ``at_least`` so many."""

        async def counted() -> int:
            sql = f"SELECT count() FROM {table} WHERE client_id = {{client_id:String}}"
            found = int(await asyncio.to_thread(client.command, sql, parameters={"client_id": client_id}))  # type: ignore[arg-type]
            return found if found >= at_least else 0

        return await eventually(counted, within_s, f"{at_least} rows of {client_id} in {table}")

    async def _spawn(self, *arguments: str) -> asyncio.subprocess.Process:
        with self.log.open("ab") as log:
            return await asyncio.create_subprocess_exec(
                sys.executable, *arguments, env=self._environment, stdout=asyncio.subprocess.PIPE, stderr=log
            )


async def produce(bootstrap: str, rows: Sequence[Row]) -> list[Row]:
    """Put the rows on their topics; returns them where they stand."""
    producer = AIOKafkaProducer(bootstrap_servers=bootstrap, acks="all", enable_idempotence=True)
    await producer.start()
    try:
        sent = [await producer.send(each.topic, value=each.value, key=each.key) for each in rows]
        places = await asyncio.gather(*sent)
    finally:
        await producer.stop()
    return [each._replace(partition=at.partition, offset=at.offset) for each, at in zip(rows, places, strict=True)]
