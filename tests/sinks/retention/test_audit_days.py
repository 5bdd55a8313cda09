"""The audit log goes by whole days from its beginning, and what is left verifies."""

from __future__ import annotations

from sinks.audit.chain import DAY_MS
from tests.sinks.audit.conftest import log  # noqa: F401 - the fixture
from tests.sinks.audit.log import AuditLog, audit_row
from tests.sinks.audit.test_retention import YEAR_MS, report_of
from tests.sinks.retention.conftest import Vault
from tests.sinks.retention.rows import up_ms
from tests.sinks.samples import now_ms


def test_days_go_whole_and_in_order_and_the_log_stays_sound(log: AuditLog, vault: Vault) -> None:  # noqa: F811
    old_ms = now_ms() - YEAR_MS - 20 * DAY_MS
    # The first day in two parts: half of it would be a fault.
    log.write([audit_row(offset, old_ms) for offset in range(4)])
    log.write([audit_row(offset, old_ms) for offset in range(4, 6)])
    log.write([audit_row(offset, old_ms + DAY_MS) for offset in range(6, 9)])
    log.write([audit_row(offset, now_ms()) for offset in range(9, 12)])
    log.seal(now_ms())
    assert report_of(vault.warehouse, log).faults == ()
    first_day_is_up = up_ms(vault.warehouse, "audit_log", old_ms - old_ms % DAY_MS + DAY_MS)
    vault.sweep(first_day_is_up - 1)
    assert len(log.links) == 12
    vault.sweep(first_day_is_up)
    assert [link.position for link in log.links] == list(range(6, 12))
    assert report_of(vault.warehouse, log).faults == ()
    vault.sweep()
    assert [link.position for link in log.links] == list(range(9, 12))
    assert report_of(vault.warehouse, log).faults == ()
    assert [entry.dropped.rows for entry in vault.done("audit_log")] == [6, 3]
    assert [entry.dropped.offsets[0].last for entry in vault.done("audit_log")] == [5, 8]
