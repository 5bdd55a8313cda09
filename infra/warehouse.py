"""The warehouse for the commands that own it meanwhile: the embedded engine while nothing runs, or a server."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

from infra.data_lock import DataLock
from infra.errors import WarehouseUnusable
from infra.key_files import ensure_keys
from infra.settings import InfraSettings
from sinks.engine import Session, open_engine
from sinks.errors import SinkError
from sinks.migrate import migrate, plan
from sinks.settings import SinkSettings


@contextlib.contextmanager
def opened(settings: InfraSettings, cluster: str | None = None) -> Iterator[tuple[Session, str]]:
    """A session, and the cluster that the settings name.

    Raises:
        WarehouseUnusable: it cannot be opened, or what is done with it fails.
        DataDirectoryInUse: `viworks up` runs on the embedded one.
    """
    with contextlib.ExitStack() as stack:
        stack.enter_context(as_one_sentence())
        if not settings.clickhouse:
            stack.enter_context(DataLock(settings.data_dir))
        sink = sink_settings(settings)
        engine = open_engine(sink)
        stack.callback(engine.close)
        session = engine.session()
        stack.callback(session.close)
        yield session, sink.clickhouse_cluster if cluster is None else cluster


def sink_settings(settings: InfraSettings) -> SinkSettings:
    """The sink's settings as a supervisor would give them. Raises KeyFileInvalid."""
    if settings.clickhouse:
        return SinkSettings(data_dir=settings.data_dir, clickhouse=settings.clickhouse)
    key = ensure_keys(settings.data_dir).storage_key
    return SinkSettings(data_dir=settings.data_dir, clickhouse="", storage_key_file=key)


def planned(session: Session, cluster: str) -> Iterator[str]:
    """The ledger's state, and each outstanding statement as it would be carried out."""
    found = plan(session, cluster)
    for number, applied_at in found.applied.items():
        yield f"-- {number:04} applied {applied_at}"
    if not found.pending:
        yield "-- nothing is outstanding"
        return
    for statement in () if found.applied else found.prologue:
        yield f"{statement};\n"
    for migration in found.pending:
        yield f"-- {migration.name}: outstanding, sha256 {migration.sha256}"
        for statement in found.statements(migration):
            yield f"{statement};\n"


def migrated(session: Session, cluster: str) -> Iterator[str]:
    """The names of what was applied."""
    names = [migration.name for migration in migrate(session, cluster)]
    yield from (f"applied {name}" for name in names)
    if not names:
        yield "nothing is outstanding"


@contextlib.contextmanager
def as_one_sentence() -> Iterator[None]:
    """An error of the warehouse as one of the command line's. Raises WarehouseUnusable."""
    try:
        yield
    except SinkError as error:
        text = str(error).rstrip(".")
        raise WarehouseUnusable(f"The warehouse cannot be used: {text}.") from None
