"""One verification from beginning to end: the checkpoints of all copies, then all records."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import pyarrow as pa

from sinks.audit.checkpoints import Checkpoint
from sinks.audit.faults import Fault
from sinks.audit.pages import Page
from sinks.audit.timeline import Copy, timeline
from sinks.audit.verification import Verification

# Enough to see what happened; the first one is what matters.
MOST_FAULTS = 100


@dataclass(frozen=True, slots=True)
class Report:
    """``faults`` are in the order of the log, those of checkpoints first. ``newest`` is the last that was signed."""

    faults: tuple[Fault, ...]
    records: int
    checkpoints: int
    newest: Checkpoint | None

    @property
    def first_broken(self) -> Fault | None:
        """The fault of the first record that is known to be broken or missing."""
        placed = [fault for fault in self.faults if fault.position is not None]
        return min(placed, key=lambda fault: fault.position or 0, default=None)


def verify(tables: Iterable[pa.Table], copies: Sequence[Copy], public_keys: Sequence[bytes], now_ms: int) -> Report:
    """Verify a log. The copies have to be read before the records; those outside of the database stand first.

    Raises:
        AuditError: a file is not what it should be at all.
        EngineUnavailable: from ``tables``.
    """
    signed = timeline(copies, public_keys, now_ms)
    verification = Verification(signed.checkpoints, now_ms)
    for table in tables:
        if table.num_rows:
            verification.take(Page.of(table))
        if len(verification.faults) >= MOST_FAULTS:
            break
    else:
        verification.finish()
    return Report(
        faults=(*signed.faults, *verification.faults)[:MOST_FAULTS],
        records=verification.records,
        checkpoints=len(signed.checkpoints),
        newest=signed.checkpoints[-1] if signed.checkpoints else None,
    )
