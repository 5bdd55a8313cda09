"""Dead letters to look at and to choose from."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from typing import NamedTuple

from infra.dead_letter_topic import DeadLetterTopic
from infra.dead_letters import Letter, Stage, printable

HEX_BYTES = 64

_COLUMNS = "{:>8}  {:<21}{:<27}{:>9}{:>10}  {:<24}{:<14}{:>8}  {}"
_HEADINGS = ("letter", "time (UTC)", "topic", "partition", "offset", "error", "schema", "bytes", "replay")


class Choice(NamedTuple):
    """Which letters: of a topic, of a class of error, or all."""

    topic: str | None
    error: str | None

    def holds(self, letter: Letter) -> bool:
        """Whether it is one of them."""
        return self.topic in (None, letter.topic) and self.error in (None, letter.error)


class Chosen(NamedTuple):
    """``stages``: how far replays are, as read up to the offset ``end``."""

    letters: list[Letter]
    stages: Mapping[int, Stage]
    end: int


async def newest(bootstrap: str, choice: Choice, limit: int) -> Chosen:
    """The newest of a choice, the newest last. Raises BrokerUnreachable."""
    found: deque[Letter] = deque(maxlen=limit)
    async with DeadLetterTopic(bootstrap) as topic:
        _, end = await topic.reach()
        async for each in topic.scan(0, end):
            if isinstance(each, Letter) and choice.holds(each):
                found.append(each)
        stages = await topic.stages(found[0].offset, end) if found else {}
    return Chosen(list(found), stages, end)


async def oldest(bootstrap: str, choice: Choice, limit: int) -> Chosen:
    """The oldest of a choice that were not replayed. Raises BrokerUnreachable."""
    found: list[Letter] = []
    async with DeadLetterTopic(bootstrap) as topic:
        _, end = await topic.reach()
        stages = await topic.stages(0, end)
        async for each in topic.scan(0, end):
            if isinstance(each, Letter) and choice.holds(each) and stages.get(each.offset) is not Stage.DONE:
                found.append(each)
            if len(found) == limit:
                break
    return Chosen(found, stages, end)


async def named(bootstrap: str, offsets: Iterable[int]) -> Chosen:
    """Letters by their offsets. Raises BrokerUnreachable, DeadLetterUnknown."""
    wanted = sorted(set(offsets))
    async with DeadLetterTopic(bootstrap) as topic:
        _, end = await topic.reach()
        found = [(await topic.letter(offset))[0] for offset in wanted]
        return Chosen(found, await topic.stages(wanted[0], end), end)


async def beginning(bootstrap: str, offset: int) -> bytes:
    """The first ``HEX_BYTES`` bytes of a letter's value. Raises BrokerUnreachable, DeadLetterUnknown."""
    async with DeadLetterTopic(bootstrap) as topic:
        return ((await topic.letter(offset))[1] or b"")[:HEX_BYTES]


def as_table(chosen: Chosen) -> list[str]:
    """A line for each letter below the headings."""
    rows = [_cells(letter, chosen.stages.get(letter.offset)) for letter in chosen.letters]
    return [_COLUMNS.format(*cells).rstrip() for cells in (_HEADINGS, *rows)]


def as_lines(letter: Letter, stage: Stage | None) -> list[str]:
    """All that may be shown of one letter: its headers and sizes, never its content."""
    facts = {
        "letter": str(letter.offset),
        "time": _time(letter.timestamp),
        "key": "none" if letter.key is None else f"{printable(letter.key)} ({len(letter.key)} bytes)",
        "value": "none" if letter.value_bytes is None else f"{letter.value_bytes} bytes",
        "schema": letter.schema or "not in the wire format, or unknown",
        "replay": stage.value if stage else "none",
    }
    headers = [(f"header {name}", value) for name, value in letter.headers]
    return [f"{name:<20}{value}" for name, value in [*facts.items(), *headers]]


def _cells(letter: Letter, stage: Stage | None) -> tuple[str, ...]:
    return (
        str(letter.offset),
        _time(letter.timestamp),
        letter.topic,
        _or_unknown(letter.partition),
        _or_unknown(letter.source),
        letter.error,
        letter.schema or "-",
        _or_unknown(letter.value_bytes),
        stage.value if stage else "",
    )


def _or_unknown(number: int | None) -> str:
    return "-" if number is None else str(number)


def _time(timestamp_ms: int) -> str:
    return datetime.fromtimestamp(timestamp_ms / 1000, UTC).isoformat(" ", "seconds").removesuffix("+00:00")
