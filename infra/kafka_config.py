"""The embedded broker's configuration files, written anew at every start."""

from __future__ import annotations

from pathlib import Path

from infra.durable_files import write_atomically
from infra.ports import LOOPBACK

_LOG4J = """\
status = error
appender.console.type = Console
appender.console.name = console
appender.console.layout.type = PatternLayout
appender.console.layout.pattern = %d{ISO8601} %p %c{1} %m%n
rootLogger.level = INFO
rootLogger.appenderRef.console.ref = console
# These print the whole configuration at every start and for every client.
logger.config.name = org.apache.kafka.common.config
logger.config.level = WARN
logger.clients.name = org.apache.kafka.clients
logger.clients.level = WARN
"""


def write(directory: Path, port: int, controller_port: int) -> tuple[Path, Path]:
    """Write the broker's and its logger's configuration; return both paths."""
    properties, logging = directory / "server.properties", directory / "log4j2.properties"
    text = "".join(f"{name}={value}\n" for name, value in _settings(directory, port, controller_port).items())
    write_atomically(properties, text.encode())
    write_atomically(logging, _LOG4J.encode())
    return properties, logging


def _settings(directory: Path, port: int, controller_port: int) -> dict[str, str]:
    return {
        "process.roles": "broker,controller",
        "node.id": "1",
        "controller.quorum.voters": f"1@{LOOPBACK}:{controller_port}",
        "controller.listener.names": "CONTROLLER",
        "inter.broker.listener.name": "PLAINTEXT",
        "listeners": f"PLAINTEXT://{LOOPBACK}:{port},CONTROLLER://{LOOPBACK}:{controller_port}",
        "advertised.listeners": f"PLAINTEXT://{LOOPBACK}:{port}",
        "listener.security.protocol.map": "PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT",
        # A properties file reads a backslash as an escape.
        "log.dirs": str(directory / "data").replace("\\", "\\\\"),
        "auto.create.topics.enable": "false",
        "default.replication.factor": "1",
        "offsets.topic.replication.factor": "1",
        "offsets.topic.num.partitions": "8",
        "transaction.state.log.replication.factor": "1",
        "transaction.state.log.min.isr": "1",
        "transaction.state.log.num.partitions": "8",
        "share.coordinator.state.topic.replication.factor": "1",
        "share.coordinator.state.topic.min.isr": "1",
        # A consumer group of one machine has nobody to wait for.
        "group.initial.rebalance.delay.ms": "0",
        # After a crash the broker waits this long for its former self's session to end; the default is 9 s.
        "broker.session.timeout.ms": "4000",
        "broker.heartbeat.interval.ms": "1000",
        # The default takes 128 MB of the small heap for compaction.
        "log.cleaner.dedupe.buffer.size": str(16 * 1024 * 1024),
        "log.segment.bytes": str(256 * 1024 * 1024),
    }
