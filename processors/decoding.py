"""Decoding a batch: what cannot be read becomes a dead letter and stops none of its neighbours."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any, NamedTuple

from aiokafka import ConsumerRecord

from processors.outbox import Outgoing, dead_letter
from processors.plausible import require_plausible
from schemas import codec
from schemas.errors import CodecError

Decoded = list[tuple[str, dict[str, Any]]]


class Numbered(NamedTuple):
    """A decoded record with its place in the partition."""

    offset: int
    schema: str
    record: dict[str, Any]


def decoded(records: Sequence[ConsumerRecord], schemas: Collection[str]) -> tuple[Decoded, list[Outgoing]]:
    """The records of these schemas as (schema, record), and the dead letters."""
    good, dead = numbered(records, schemas)
    return [(schema, record) for _, schema, record in good], dead


def numbered(records: Sequence[ConsumerRecord], schemas: Collection[str]) -> tuple[list[Numbered], list[Outgoing]]:
    """The records of these schemas with their offsets, and the dead letters."""
    good: list[Numbered] = []
    dead: list[Outgoing] = []
    for raw in records:
        try:
            name, record = codec.decode(raw.value)
            if name not in schemas:
                raise CodecError(f"a {name} does not belong here")
            require_plausible(name, record, len(raw.value))
            good.append(Numbered(raw.offset, name, record))
        except Exception as error:  # noqa: BLE001 - whatever a hostile value leads to, its neighbours go on
            dead.append(dead_letter(raw, error))
    return good, dead
