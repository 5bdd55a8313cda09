"""What a batch of heartbeats and ticks leads to, and in which order it is written. Pure.

The writes of a step go out together, and the next step's wait until Kafka has them. A crash may come between any two; then
the batch is read again:

- What a heartbeat leads to is told before the state is persisted: to the state before, the heartbeat is still news.
- What the clock leads to is told after it: after a restart deadlines are fresh, so nothing but ``FleetPartition.untold``
  tells it again.
- The clock comes after all that: what it makes known counts as done. The coarse last-seen states come last, so that
  none of them knows more than the clock does.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

from processors.checkpoint import Checkpoint
from processors.fleet import FleetPartition
from processors.liveness import VERDICTS, ClientState, Heartbeat, Transition
from processors.rounds import rounds
from processors.watermark import BlindSpan, Tick


class Step(NamedTuple):
    """Writes that go out together: what is told, what is persisted, what is kept for a restart."""

    told: Sequence[Transition] = ()
    spans: Sequence[BlindSpan] = ()
    persisted: Sequence[Transition] = ()
    checkpoint: Checkpoint | None = None
    seen: Mapping[str, ClientState] = {}


def steps(fleet: FleetPartition, batch: Sequence[Heartbeat | Tick], offsets: Sequence[int]) -> Iterator[Step]:
    """Take a batch into account; the steps that it leads to, none of them empty. ``offsets`` are those of its records."""
    last = offsets[-1] if offsets else fleet.restored.offset
    if offsets and offsets[0] <= fleet.restored.offset:
        batch = [each for each, at in zip(batch, offsets, strict=True) if not fleet.restored.covers(at, _time_ms(each))]
    transitions = fleet.untold()
    spans: list[BlindSpan] = []
    for each in batch:
        if isinstance(each, Heartbeat):
            transition = fleet.heartbeat(each)
            if transition is not None:
                transitions.append(transition)
            continue
        due, blind = fleet.tick(each)
        transitions += due
        spans += [blind] if blind else []
    return _ordered(transitions, spans, *fleet.checkpoint(last))


def _time_ms(each: Heartbeat | Tick) -> int:
    return each.received_at if isinstance(each, Heartbeat) else each.timestamp


def _ordered(
    transitions: Sequence[Transition],
    spans: Sequence[BlindSpan],
    checkpoint: Checkpoint | None,
    seen: Mapping[str, ClientState],
) -> Iterator[Step]:
    if spans:
        yield Step(spans=spans)
    for part in rounds(transitions, lambda transition: transition.client_id):
        verdicts = [each for each in part if each.current.reason in VERDICTS]
        heard = [each for each in part if each.current.reason not in VERDICTS]
        if heard:
            yield Step(told=heard)
        yield Step(persisted=part)
        if verdicts:
            yield Step(told=verdicts)
    if checkpoint is not None:
        yield Step(checkpoint=checkpoint)
    if seen:
        yield Step(seen=seen)
