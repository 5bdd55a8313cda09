"""What becomes of a record by the server's verdict on its line of a batch. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from msgspec import Struct

from viworks import answers
from viworks.drafts import Draft
from viworks.spool import Spooled
from viworks.spool.census import Loss

MOST_TRIES = 4
_SECOND_CHANCE = frozenset({answers.BAD_SIGNATURE, answers.PLAINTEXT_REFUSED, answers.SCOPE_REFUSED})
"""A new key, sealing key or scope may be under way to the client: it asks anew and sends again before it gives up."""


class LineVerdict(Struct, frozen=True):
    """One line's result, as the server writes it."""

    line: int
    status: int
    type: str = ""
    detail: str = ""
    member: str = ""
    retryable: bool = False


class BatchAnswer(Struct, frozen=True):
    """The answer to a batch."""

    results: list[LineVerdict]


@dataclass(slots=True)
class Fates:
    """What is to be done with the records of a batch, by their places.

    Attributes:
        redated: new versions of those that were from the future.
        doubtful: refused for a reason that a new registration may mend; by place the problem's type.
    """

    arrived: list[int] = field(default_factory=list)
    later: list[int] = field(default_factory=list)
    lost: dict[int, tuple[Loss, str]] = field(default_factory=dict)
    aside: dict[int, str] = field(default_factory=dict)
    redated: list[Spooled] = field(default_factory=list)
    doubtful: dict[int, str] = field(default_factory=dict)


def fates(
    batch: Sequence[Spooled], results: Sequence[LineVerdict], tries: Mapping[int, int], server_ms: int | None
) -> Fates:
    """Sort a batch by the verdicts; a line without one is sent again.

    Args:
        tries: by place, how often a record was refused doubtfully, or moved in time, before.
        server_ms: the server's time when it answered, where it said so.
    """
    found, by_line = Fates(), {result.line: result for result in results}
    for line, spooled in enumerate(batch):
        verdict = by_line.get(line)
        if verdict is None:
            found.later.append(spooled.seq)
        else:
            _sort(found, spooled, verdict, tries.get(spooled.seq, 0), server_ms)
    return found


def _sort(found: Fates, spooled: Spooled, verdict: LineVerdict, tried: int, server_ms: int | None) -> None:
    seq, why = spooled.seq, verdict.type.removeprefix(answers.PROBLEM)[:40] or str(verdict.status)
    if verdict.status < 300:
        found.arrived.append(seq)
    elif verdict.retryable:
        found.later.append(seq)
    elif verdict.type == answers.STALE_TIMESTAMP and server_ms is not None and tried + 1 < MOST_TRIES:
        _sort_stale(found, spooled, server_ms)
    elif verdict.type in _SECOND_CHANCE and tried + 1 < MOST_TRIES:
        found.doubtful[seq] = verdict.type
    else:
        found.aside[seq] = why


def _sort_stale(found: Fates, spooled: Spooled, server_ms: int) -> None:
    """From the future: it cannot have happened after now. Too old: nobody will take it any more."""
    ahead_ms = message_time_ms(spooled.record.message) - server_ms
    if ahead_ms <= 0:
        found.lost[spooled.seq] = ("expired", spooled.record.rank.name.lower())
    else:
        message = moved(spooled.record.message, -ahead_ms)
        found.redated.append(Spooled(spooled.seq, spooled.record.with_message(message)))


def message_time_ms(message: Draft) -> int:
    """The client's time of a message, as the server reads it."""
    for name in ("timestamp", "end_time", "start_time"):
        if isinstance(value := message.get(name), int):
            return value
    return 0


def moved(message: Draft, by_ms: int) -> Draft:
    """The message with all its times moved; a session keeps its length."""
    times: dict[str, Any] = {name: message[name] for name in ("timestamp", "start_time", "end_time") if name in message}
    return {**message, **{name: max(0, value + by_ms) for name, value in times.items()}}
