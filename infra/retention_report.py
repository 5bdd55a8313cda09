"""What is kept, for how long, and what goes next: of the tables, of Kafka's topics and of the dead letters."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from typing import Any

from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType
from aiokafka.errors import KafkaError

from infra.errors import BrokerUnreachable
from infra.kafka_probe import require_answer
from infra.warehouse_reader import Ask, rows
from schemas.topics import DLQ, HEARTBEATS, TOPICS, Topic
from sinks.tables import DATABASE, RETENTIONS, TABLES

Report = dict[str, Any]
_PROBE_S = 5.0
_MS = "if(isNull({0}), NULL, toUnixTimestamp64Milli(assumeNotNull({0})))"
_LINE = "{:<26}{:<12}{:>14}{:>12}  {:<22}{:<22}{:>12}  {:<22}{}"
_HEADINGS = ("table", "kept", "rows", "bytes", "oldest", "newest", "past time", "next drop", "holds")
_TOPIC = "{:<34}{:>14}{:>14}{:>14}  {}"
_TOPIC_HEADINGS = ("topic", "retention", "and segment", "data's", "fault")
_INTERVALS = ", ".join(
    f"toUnixTimestamp64Milli(now64(3)) - toUnixTimestamp64Milli(now64(3) - INTERVAL {each.interval}) AS `{table}`"
    for table, each in RETENTIONS.items()
)


def tables(ask: Ask) -> list[Report]:
    """By table with a retention what the job found when it looked last. Raises SqlPortAway, SqlRefused."""
    columns = ", ".join(f"{_MS.format(name)} AS {name}_ms" for name in ("oldest", "newest", "next_drop"))
    sql = f"SELECT table_name, toUnixTimestamp64Milli(at) AS at_ms, rows, bytes, expired, {columns}"
    found = {row["table_name"]: row for row in rows(ask, f"{sql} FROM {DATABASE}.retention_state FINAL")}
    holding = holds(ask)
    return [_of_table(name, found.get(name), holding) for name in RETENTIONS]


def holds(ask: Ask) -> list[Report]:
    """The holds in force, by name. Raises SqlPortAway, SqlRefused."""
    columns = ", ".join(f"{_MS.format(name)} AS {name}_ms" for name in ("since", "until"))
    sql = f"SELECT name, client_ids, tables, actor, reason, toUnixTimestamp64Milli(set_at) AS set_at_ms, {columns} "
    found = rows(ask, f"{sql} FROM {DATABASE}.holds FINAL WHERE NOT released ORDER BY name")
    return [{**row, **{name: _number(row[name]) for name in ("set_at_ms", "since_ms", "until_ms")}} for row in found]


async def topics(bootstrap: str, ask: Ask) -> list[Report]:
    """By topic how long Kafka keeps a record, against how long its table does. Raises BrokerUnreachable, SqlPortAway."""
    (intervals,) = rows(ask, f"SELECT {_INTERVALS}")
    limits = {table.topic: int(intervals[table.name]) for table in TABLES if table.name in RETENTIONS}
    # Among the dead letters may be those of any table; for heartbeats see docs/limits.md.
    limits[DLQ] = min(limit_ms for topic, limit_ms in limits.items() if topic is not HEARTBEATS)
    configured = await _configured(bootstrap, [topic for topic in TOPICS if topic in limits])
    return [_of_topic(topic, limits[topic], configured[topic.name]) for topic in TOPICS if topic in limits]


def table_lines(report: Iterable[Report]) -> Iterator[str]:
    """For people."""
    yield _LINE.format(*_HEADINGS)
    for each in report:
        oldest, newest, drop = (_moment(each[name]) for name in ("oldest_ms", "newest_ms", "next_drop_ms"))
        cells = (each["table"], each["kept"].lower(), each["rows"], each["bytes"], oldest, newest, each["past_time"], drop)
        yield _LINE.format(*("-" if cell is None else cell for cell in cells), ", ".join(each["holds"])).rstrip()


def topic_lines(report: Iterable[Report]) -> Iterator[str]:
    """For people."""
    yield _TOPIC.format(*_TOPIC_HEADINGS)
    for each in report:
        spans = [_hours(each[name]) for name in ("retention_ms", "segment_ms", "data_ms")]
        yield _TOPIC.format(each["topic"], *spans, each["fault"]).rstrip()


def _of_table(name: str, state: Report | None, holding: Iterable[Report]) -> Report:
    state = state or {}
    numbers = {key: _number(state.get(key)) for key in ("rows", "bytes", "oldest_ms", "newest_ms", "next_drop_ms")}
    return {
        "table": name,
        "kept": RETENTIONS[name].interval,
        **numbers,
        "past_time": _number(state.get("expired")),
        "looked_at_ms": _number(state.get("at_ms")),
        "holds": [hold["name"] for hold in holding if name in hold["tables"]],
    }


def _of_topic(topic: Topic, limit_ms: int, config: dict[str, str | None]) -> Report:
    retention = _number(config.get("retention.ms")) if "delete" in (config.get("cleanup.policy") or "") else None
    fault = ""
    if retention is None or retention < 0:
        fault = "never deletes by age"
    elif retention > limit_ms:
        fault = "outlives its data"
    segment = _number(config.get("segment.ms"))
    return {"topic": topic.name, "retention_ms": retention, "segment_ms": segment, "data_ms": limit_ms, "fault": fault}


async def _configured(bootstrap: str, wanted: list[Topic]) -> dict[str, dict[str, str | None]]:
    await require_answer(bootstrap, _PROBE_S)
    admin = AIOKafkaAdminClient(bootstrap_servers=bootstrap)
    try:
        await admin.start()
        resources = [ConfigResource(ConfigResourceType.TOPIC, topic.name) for topic in wanted]
        answers = await admin.describe_configs(resources)
    except KafkaError as error:
        raise BrokerUnreachable(f"The broker at {bootstrap} does not answer: {type(error).__name__}.") from None
    finally:
        await admin.close()
    found = [resource for answer in answers for resource in answer.resources]
    return {name: {entry[0]: entry[1] for entry in entries} for _, _, _, name, entries in found}


def _number(value: Any) -> int | None:
    return None if value is None else int(value)


def _moment(ms: int | None) -> str:
    return "-" if ms is None else datetime.fromtimestamp(ms / 1_000, UTC).strftime("%Y-%m-%d %H:%M:%S")


def _hours(ms: int | None) -> str:
    return "-" if ms is None else f"{ms / 3_600_000:.0f} h"
