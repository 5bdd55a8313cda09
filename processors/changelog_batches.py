"""Recovery of tables by whole fetches: 100,000 clients take a minute record by record, and seconds so.

Faust recovers record by record and looks after each at all partitions again. It counts by offsets only, so it may as well be
told of a fetch by its last record, once the fetch is in the table.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple, cast

from aiokafka import ConsumerRecord
from faust.types import TP, AppT, ConsumerMessage

# No key of a table of ours; to be told of a key without a value leaves a table as it is.
_NOTHING = b"\0nothing"


class _Change(NamedTuple):
    """What a store looks at of an event."""

    key: Any
    value: Any
    message: ConsumerRecord


def take(app: AppT, tp: TP, records: Sequence[ConsumerRecord]) -> bool:
    """Put the records of a changelog into their table; False where it is none that is being recovered.

    What the table has already is left out: a fetch may be read again after a rebalance.
    """
    tables: Any = app.tables
    recovery = tables.recovery
    table = recovery.tp_to_table.get(tp)
    if table is None or tp not in recovery.active_tps:
        return False
    known = recovery.active_offsets.get(tp)
    fresh = [_Change(each.key, each.value, each) for each in records if known is None or each.offset > known]
    table.apply_changelog_batch(fresh)
    return True


def in_place_of(message: ConsumerMessage) -> ConsumerMessage:
    """A message with the offset of a fetch's last record and nothing to apply."""
    message.key, message.value = _NOTHING, cast(Any, None)
    return message
