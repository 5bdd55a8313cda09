"""Decoding a batch: what cannot be read becomes a dead letter and stops none of its neighbours."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any

from aiokafka import ConsumerRecord

from processors.outbox import Outgoing, dead_letter
from processors.plausible import require_plausible
from schemas import codec
from schemas.errors import CodecError

Decoded = list[tuple[str, dict[str, Any]]]


def decoded(records: Sequence[ConsumerRecord], schemas: Collection[str]) -> tuple[Decoded, list[Outgoing]]:
    """The records of these schemas as (schema, record), and the dead letters."""
    good: Decoded = []
    dead: list[Outgoing] = []
    for raw in records:
        try:
            name, record = codec.decode(raw.value)
            if name not in schemas:
                raise CodecError(f"a {name} does not belong here")
            require_plausible(name, record, len(raw.value))
            good.append((name, record))
        except Exception as error:  # noqa: BLE001 - whatever a hostile value leads to, its neighbours go on
            dead.append(dead_letter(raw, error))
    return good, dead
