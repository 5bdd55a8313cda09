"""Which orders the warehouse carries out: one table of actions, and the job that runs between two orders."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from sinks.audit.signing_key import AuditKey
from sinks.engine import Engine
from sinks.erasures import Erasures
from sinks.holds.orders import Holds
from sinks.orders.order import Handler
from sinks.records import Records
from sinks.retention.job import RetentionJob
from sinks.retention.manifest import Manifest, file_of
from sinks.retention.sweeper import Sweeper
from sinks.settings import SinkSettings

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Duties:
    """``handlers`` by action (``schemas.commands``); ``tick`` is awaited between orders."""

    handlers: dict[str, Handler]
    tick: Callable[[], Awaitable[None]]


def duties_of(settings: SinkSettings, engine: Engine, now_ms: Callable[[], int]) -> Duties:
    """What the sink does for administrators. Without a key to sign the manifest nothing is dropped, so no hold is taken."""
    if settings.audit_key_file is None:
        log.warning("no retention but ClickHouse's own TTL, and no legal holds: VIWORKS_AUDIT_KEY_FILE is not set")
        return Duties({}, _nothing)
    key = AuditKey(settings.audit_key_file, settings.data_dir / "audit" / "public-keys")
    manifest = Manifest(file_of(settings.data_dir), key.sign_text, now_ms)
    sweeper = Sweeper(settings.data_dir, manifest, int(settings.retention_overdue_s * 1_000))
    job = RetentionJob(
        engine,
        sweeper,
        manifest,
        Records(settings.kafka).write,
        now_ms,
        data_dir=settings.data_dir,
        interval_s=settings.retention_interval_s,
    )
    holds = Holds(manifest)
    handlers: dict[str, Handler] = {
        "retention.run": job.run_ordered,
        "hold.set": holds.set,
        "hold.release": holds.release,
        "subject.erase": Erasures(manifest).erase,
    }
    return Duties(handlers, job.tick)


async def _nothing() -> None:
    return None
