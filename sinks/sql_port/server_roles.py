"""The same roles for a ClickHouse server: ``python -m sinks.sql_port.server_roles > infra/clickhouse/roles.sql``.

There ClickHouse has users of its own, and each gets one of these roles. What the SQL port does on each handle of the
embedded engine is said here by settings profiles, row policies and a quota.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator

from sinks.settings import SinkSettings
from sinks.sql_port.limits import ceilings
from sinks.sql_port.requests import HARMLESS, TIGHTENING
from sinks.sql_port.roles import OPEN_SYSTEM_TABLES, ROLES, Role
from sinks.tables import DATABASE, RETENTIONS

_HEAD = """\
-- Roles, limits and retention for analysts on a ClickHouse server, as the SQL port has them on the embedded engine.
-- Made by: python -m sinks.sql_port.server_roles > infra/clickhouse/roles.sql
-- Run it as a user with access management, once the tables are there: clickhouse-client --multiquery < roles.sql
-- The server needs, in its configuration (all are its defaults but in old installations):
--   access_control_improvements: settings_constraints_replace_previous, select_from_system_db_requires_grant
-- A user then gets a role, and all of it with that:
--   CREATE USER maria IDENTIFIED WITH sha256_password BY '...' DEFAULT ROLE viworks_analyst;
--   GRANT viworks_analyst TO maria;
"""
# Of one user: enough for dashboards, too little to keep others from their answers.
_QUERIES_PER_MINUTE = 1200
_EXECUTION_S_PER_HOUR = 3600


def server_sql(settings: SinkSettings) -> str:
    """The whole file."""
    statements = [*_profiles(settings), *_roles(), *_policies(), *_quotas()]
    return _HEAD + "\n" + "".join(f"{statement};\n" for statement in statements)


def statements_of(script: str) -> list[str]:
    """The statements of such a file."""
    lines = (line for line in script.splitlines() if not line.startswith("--"))
    return [statement.strip() for statement in "\n".join(lines).split(";\n") if statement.strip()]


def _profiles(settings: SinkSettings) -> Iterator[str]:
    for role in ROLES.values():
        highest = ceilings(settings, role)
        rules = [
            "readonly = 1 CONST",
            "final = 1 CONST",
            "allow_introspection_functions = 0 CONST",
            "result_overflow_mode = 'throw' CONST",
            "timeout_overflow_mode = 'throw' CONST",
            f"max_concurrent_queries_for_user = {settings.sql_max_queries_per_token} CONST",
            # At least one, since zero means without a limit.
            *(f"{name} = {value:.15g} MIN 1 MAX {value:.15g} CHANGEABLE_IN_READONLY" for name, value in highest.items()),
            *(f"{name} CHANGEABLE_IN_READONLY" for name in sorted(HARMLESS | TIGHTENING)),
        ]
        yield f"CREATE SETTINGS PROFILE OR REPLACE {_name(role)} SETTINGS\n    " + ",\n    ".join(rules)


def _roles() -> Iterator[str]:
    for role in ROLES.values():
        yield f"CREATE ROLE OR REPLACE {_name(role)} SETTINGS PROFILE '{_name(role)}'"
        for grant in role.grants:
            yield f"{grant} {'FROM' if grant.startswith('REVOKE') else 'TO'} {_name(role)}"
        if not role.sees_system:
            yield from (f"GRANT SELECT ON system.{table} TO {_name(role)}" for table in OPEN_SYSTEM_TABLES)


def _policies() -> Iterator[str]:
    """Expired rows are nobody's. The sink reads its own offsets, so that it is not among these."""
    everybody = ", ".join(_name(role) for role in ROLES.values())
    for table, retention in RETENTIONS.items():
        where = f"viworks_retention ON {DATABASE}.{table}"
        yield f"CREATE ROW POLICY OR REPLACE {where} FOR SELECT USING {retention.predicate} TO {everybody}"


def _quotas() -> Iterator[str]:
    everybody = ", ".join(_name(role) for role in ROLES.values())
    yield (
        "CREATE QUOTA OR REPLACE viworks_sql KEYED BY user_name "
        f"FOR INTERVAL 1 minute MAX queries = {_QUERIES_PER_MINUTE}, "
        f"FOR INTERVAL 1 hour MAX execution_time = {_EXECUTION_S_PER_HOUR} TO {everybody}"
    )


def _name(role: Role) -> str:
    return f"viworks_{role.name}"


if __name__ == "__main__":
    sys.stdout.write(server_sql(SinkSettings.model_construct()))
