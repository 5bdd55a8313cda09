"""The embedded broker: the real Apache Kafka, one KRaft node on loopback, as a child process."""

from __future__ import annotations

import asyncio
import base64
import os
import signal
import subprocess
import uuid
from pathlib import Path

from infra import kafka_config
from infra.child import Child
from infra.durable_files import private_directory
from infra.errors import BrokerNotStarted
from infra.java import find_java, wheel_java
from infra.kafka_jars import class_path, pinned_jars
from infra.kafka_probe import answers
from infra.ports import LOOPBACK, free_port, require_free

_POLL_S = 0.05
_FORMAT_TIMEOUT_S = 60.0
_FLAGS = ("-XX:+UseG1GC", "-XX:MaxGCPauseMillis=20", "-Djava.awt.headless=true")
# A program that ends at once gains nothing from optimised code.
_BRIEF = ("-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC")


class EmbeddedKafka:
    """A broker on ``127.0.0.1:port`` whose data stay under ``data_dir`` from one start to the next.

    Bound to no event loop: a test run starts it once and uses it from all its loops.
    """

    name = "kafka"

    def __init__(
        self,
        data_dir: Path,
        port: int,
        *,
        java: Path | None = None,
        heap_mb: int = 512,
        setting: str = "VIWORKS_KAFKA_PORT",
    ) -> None:
        """``java``: the Java to use instead of the one that is found; ``setting``: what a taken port's message names."""
        self._directory = data_dir / "kafka"
        self._log = data_dir / "logs" / "kafka.log"
        self._port = port
        self._java = java
        self._heap_mb = heap_mb
        self._setting = setting
        self._child: Child | None = None

    @property
    def bootstrap(self) -> str:
        """``host:port`` for clients."""
        return f"{LOOPBACK}:{self._port}"

    @property
    def pid(self) -> int | None:
        """The broker's process id; None while it does not run."""
        return self._child.pid if self._child and self._child.returncode is None else None

    async def start(self, timeout_s: float = 60.0) -> None:
        """Start the broker; returns when a client can get metadata.

        Raises:
            PortTaken: something listens on the port.
            JavaMissing: there is no Java to run it.
            DownloadFailed: its jars cannot be had.
            BrokerNotStarted: it ended, or did not answer within ``timeout_s``; carries its log's last lines.
        """
        require_free(self._port, self._setting, "Kafka")
        command = await asyncio.to_thread(self._prepare)
        child = self._child = Child(command, self._log, os.environ, signal.SIGKILL, self._directory)
        try:
            async with asyncio.timeout(timeout_s):
                await self._answering(child)
        except BaseException as error:
            child.kill()
            await child.wait()
            if isinstance(error, TimeoutError):
                raise _silent(child, timeout_s) from None
            raise

    async def wait(self) -> int:
        """Wait for the broker's end and return its exit status."""
        return await self._started().wait()

    async def stop(self, timeout_s: float = 15.0) -> None:
        """End the broker, by force after ``timeout_s`` seconds. Nothing where it does not run."""
        if self._child:
            await self._child.stop(timeout_s)

    def kill(self) -> None:
        """End the broker at once, as a crash does."""
        if self._child:
            self._child.kill()

    def _started(self) -> Child:
        if self._child is None:
            raise BrokerNotStarted("The embedded Kafka was not started.")
        return self._child

    def _prepare(self) -> list[str | Path]:
        private_directory(self._directory)
        kafka_config.write(self._directory, self._port, free_port())
        java = self._java or find_java(wheel=wheel_java())
        program: list[str | Path] = [f"-Dlog4j2.configurationFile={kafka_config.LOGGING}", "-cp", class_path(pinned_jars())]
        if not (self._directory / kafka_config.DATA / "meta.properties").exists():
            _format([java, *_BRIEF, *program], self._directory)
        return [java, f"-Xmx{self._heap_mb}m", *_FLAGS, *program, "kafka.Kafka", kafka_config.PROPERTIES]

    async def _answering(self, child: Child) -> None:
        while not await answers(self.bootstrap):
            if (status := child.returncode) is not None:
                raise BrokerNotStarted(
                    f"The embedded Kafka ended while it started (status {status}); the reason is in {child.log}.",
                    child.last_lines(),
                )
            await asyncio.sleep(_POLL_S)


def _silent(child: Child, timeout_s: float) -> BrokerNotStarted:
    return BrokerNotStarted(
        f"The embedded Kafka did not answer within {timeout_s:.0f} s; the reason may be in {child.log}.",
        child.last_lines(),
    )


def _format(java: list[str | Path], directory: Path) -> None:
    tool = ["kafka.tools.StorageTool", "format", "-t", _new_cluster_id(), "-c", kafka_config.PROPERTIES]
    try:
        done = subprocess.run(
            [*java, *tool], cwd=directory, capture_output=True, text=True, timeout=_FORMAT_TIMEOUT_S, check=False
        )
    except subprocess.TimeoutExpired:
        raise BrokerNotStarted(f"Formatting the embedded Kafka took over {_FORMAT_TIMEOUT_S:.0f} s.") from None
    if done.returncode:
        lines = (done.stdout + done.stderr).splitlines()
        raise BrokerNotStarted("The embedded Kafka could not format its data directory.", lines[-12:])


def _new_cluster_id() -> str:
    # A leading "-" would be read as an option.
    while (text := base64.urlsafe_b64encode(uuid.uuid4().bytes).decode().rstrip("=")).startswith("-"):
        pass
    return text
