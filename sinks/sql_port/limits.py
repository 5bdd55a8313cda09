"""What one statement may use, by role."""

from __future__ import annotations

from collections.abc import Iterable

from sinks.settings import SinkSettings
from sinks.sql_port.roles import Role
from sinks.tables import DATABASE, RETENTIONS


def ceilings(settings: SinkSettings, role: Role) -> dict[str, int | float]:
    """The settings of ClickHouse that a request may lower, and their highest values."""
    return {
        "max_execution_time": settings.sql_max_execution_s * role.ease,
        "max_result_rows": settings.sql_max_result_rows * role.ease,
        "max_result_bytes": settings.sql_max_result_bytes * role.ease,
        "max_memory_usage": settings.sql_max_memory_bytes,
    }


def limits(settings: SinkSettings, role: Role, hidden: Iterable[str] = ()) -> dict[str, str]:
    """ClickHouse's settings for every statement of a role; of the tables ``hidden`` in ``system`` it sees no row."""
    predicates = {f"{DATABASE}.{table}": retention.predicate for table, retention in RETENTIONS.items()}
    predicates |= {f"system.{table}": "0" for table in hidden}
    filters = ", ".join(f"'{table}': '{predicate}'" for table, predicate in predicates.items())
    return {
        "final": "1",
        # On by default in the embedded engine, off on a server.
        "allow_introspection_functions": "0",
        "additional_table_filters": f"{{{filters}}}",
        **{name: str(value) for name, value in ceilings(settings, role).items()},
        "result_overflow_mode": "throw",
        "timeout_overflow_mode": "throw",
    }
