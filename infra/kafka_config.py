"""The embedded broker's configuration files, written anew at every start."""

from __future__ import annotations

from pathlib import Path

from infra.durable_files import write_atomically
from infra.ports import LOOPBACK

# Relative to the working directory: in a whole path, a comma or a letter beyond Latin-1 would mean something to Java.
PROPERTIES = "server.properties"
LOGGING = "log4j2.properties"
DATA = "data"

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


def write(directory: Path, port: int, controller_port: int) -> None:
    """Write the broker's and its logger's configuration into ``directory``."""
    text = "".join(f"{name}={value}\n" for name, value in _settings(port, controller_port).items())
    write_atomically(directory / PROPERTIES, text.encode())
    write_atomically(directory / LOGGING, _LOG4J.encode())


def _settings(port: int, controller_port: int) -> dict[str, str]:
    return {
        "process.roles": "broker,controller",
        "node.id": "1",
        "controller.quorum.voters": f"1@{LOOPBACK}:{controller_port}",
        "controller.listener.names": "CONTROLLER",
        "inter.broker.listener.name": "PLAINTEXT",
        "listeners": f"PLAINTEXT://{LOOPBACK}:{port},CONTROLLER://{LOOPBACK}:{controller_port}",
        "advertised.listeners": f"PLAINTEXT://{LOOPBACK}:{port}",
        "listener.security.protocol.map": "PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT",
        "log.dirs": DATA,
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
