"""``viworks replay``: rebuild a span of a table from Kafka. The sink does it, see ``sinks.replay``; this gives the order."""

from __future__ import annotations

import asyncio
import time
import uuid
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from infra.errors import BrokerUnreachable, NotRunning, OrderRefused
from infra.moments import moment_ms
from infra.settings import InfraSettings

if TYPE_CHECKING:
    from sinks.replay import Outcome, Spans
    from sinks.tables import Table

_POLL_S = 0.2
_WITHIN_S = 3_600.0


def replay(
    topic: Annotated[str, typer.Option(help="Such as viworks.events.v1.")],
    start: Annotated[str, typer.Option("--from", metavar="TIME", help="ISO 8601, such as 2026-11-24T18:00:00Z.")],
    end: Annotated[str, typer.Option("--to", metavar="TIME", help="The first moment that is left out.")],
    table: Annotated[str | None, typer.Option(help="Must be the topic's table, where it is given.")] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say which records it would be.")] = False,
    data: Annotated[Path | None, typer.Option("--data", help="Data directory (VIWORKS_DATA_DIR).")] = None,
) -> None:
    """Rebuild the rows of a topic's table that Kafka got in a span of time. The table is swapped when all is in."""
    settings = InfraSettings.load(data_dir=data)
    if settings.clickhouse:
        raise OrderRefused(
            "Refused: only the embedded engine's tables can be rebuilt; a server has no sink that owns it alone."
        )
    chosen = _table(topic, table)
    spans = asyncio.run(_spans(_broker(settings), chosen, _millis(start), _millis(end)))
    for number, (first, last) in sorted(spans.items()):
        typer.echo(f"{chosen.topic.name} partition {number}: offsets {first} to {last - 1}, {last - first} records")
    if dry_run or not spans:
        typer.echo("nothing was changed")
        return
    _tell(_carried_out(settings.data_dir, chosen, spans))


def _table(topic: str, table: str | None) -> Table:
    from sinks.errors import ReplayFailed
    from sinks.replay import table_of
    from sinks.tables import TABLES

    found = next((each for each in TABLES if each.topic.name == topic), None)
    if found is None or table not in (None, found.name):
        names = ", ".join(f"{each.topic.name} ({each.name})" for each in TABLES)
        raise OrderRefused(f"Refused: the topics and their tables are {names}.")
    try:
        return table_of(found.name)
    except ReplayFailed as error:
        raise OrderRefused(f"Refused: {error}.") from None


def _millis(text: str) -> int:
    try:
        return moment_ms(text)
    except ValueError:
        raise OrderRefused("Refused: a time is like 2026-11-24T18:00:00Z.") from None


def _broker(settings: InfraSettings) -> str:
    from infra import run_file

    content = run_file.read(settings.data_dir)
    if content is None:
        raise NotRunning(f"Nothing is running in {settings.data_dir}: the sink rebuilds tables while it runs.")
    return str(content["kafka"])


async def _spans(bootstrap: str, table: Table, start_ms: int, end_ms: int) -> Spans:
    """By partition the offsets whose records Kafka got in the span; partitions without any are left out."""
    from aiokafka import AIOKafkaConsumer, TopicPartition
    from aiokafka.errors import KafkaError

    consumer = AIOKafkaConsumer(bootstrap_servers=bootstrap, enable_auto_commit=False)
    try:
        await consumer.start()
        places = [TopicPartition(table.topic.name, number) for number in range(table.topic.partitions)]
        ends = await consumer.end_offsets(places)
        first = await consumer.offsets_for_times(dict.fromkeys(places, start_ms))
        after = await consumer.offsets_for_times(dict.fromkeys(places, end_ms))
    except KafkaError as error:
        raise BrokerUnreachable(f"The broker at {bootstrap} does not answer: {type(error).__name__}.") from None
    finally:
        await consumer.stop()
    spans = {
        at.partition: (found.offset, after[at].offset if after[at] else ends[at]) for at, found in first.items() if found
    }
    return {number: span for number, span in spans.items() if span[0] < span[1]}


def _carried_out(data_dir: Path, table: Table, spans: Spans) -> Outcome:
    """Give the order and wait for its outcome."""
    import msgspec

    from infra.durable_files import write_atomically
    from sinks.replay import Order, Outcome, order_path, outcome_path

    if order_path(data_dir).exists():
        raise OrderRefused("Refused: another replay is under way.")
    order = Order(uuid.uuid4().hex, table.name, spans)
    write_atomically(order_path(data_dir), msgspec.json.encode(order))
    deadline_s = time.monotonic() + _WITHIN_S
    while time.monotonic() < deadline_s:
        if outcome_path(data_dir).exists():
            outcome = msgspec.json.decode(outcome_path(data_dir).read_bytes(), type=Outcome)
            if outcome.order_id == order.order_id:
                return outcome
        time.sleep(_POLL_S)
    raise OrderRefused(
        "The sink did not finish within an hour; it goes on, and replay-outcome.json will say what became of it."
    )


def _tell(outcome: Outcome) -> None:
    if outcome.fault:
        raise OrderRefused(f"Not carried out, the table is as it was: {outcome.fault}.")
    typer.echo(
        f"rebuilt: {outcome.rows} rows, where there were {outcome.rows_before}; {outcome.refused} dead letters not repeated"
    )
