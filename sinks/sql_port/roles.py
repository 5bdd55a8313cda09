"""Who may read what: one table of roles, for the embedded engine and for a server.

The embedded engine has ClickHouse's own access control, and reads it from a file of users when it opens. All handles belong
to the user ``default``, who holds every role; a handle of the SQL port takes one of them (``SET ROLE``) before it is made
read-only, and ClickHouse checks each column that a statement reads, however it names it.
"""

from __future__ import annotations

from dataclasses import dataclass
from xml.sax.saxutils import escape

from sinks.tables import DATABASE

SENSITIVE_COLUMNS: dict[str, tuple[str, ...]] = {
    "heartbeats": ("signature", "signed_bytes"),
    "registrations": ("signature", "signed_bytes", "public_key"),
    "sessions": ("signature", "signed_bytes"),
    "events": ("signature", "signed_bytes"),
    "clients": ("signature", "signed_bytes", "public_key"),
    "client_keys": ("public_key",),
}
"""What proves who said something. For analysts it is of no use, and no business of theirs."""

_READ = "SHOW TABLES, SHOW COLUMNS, SELECT"

AUDITORS_TABLES = ("audit*", "warehouse_orders", "retention_*", "holds", "held_*")
"""What auditors read, and analysts do not: who did what, and what is kept for a court beyond its time."""

# What clients and their users ask of a server, and what shows nothing of anybody's data or queries.
OPEN_SYSTEM_TABLES = (
    "aggregate_function_combinators", "collations", "columns", "contributors", "data_type_families", "databases", "errors",
    "formats", "functions", "keywords", "licenses", "numbers", "numbers_mt", "one", "settings", "table_engines",
    "table_functions", "tables", "time_zones", "zeros", "zeros_mt",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Role:
    """One role. ``grants`` are statements that lack their grantee; ``ease`` multiplies the limits of the settings."""

    name: str
    grants: tuple[str, ...]
    ease: int = 1
    sees_system: bool = False


def _analyst() -> tuple[str, ...]:
    withheld = (f"REVOKE SELECT({', '.join(columns)}) ON {DATABASE}.{table}" for table, columns in SENSITIVE_COLUMNS.items())
    return (
        f"GRANT {_READ} ON {DATABASE}.*",
        *(f"REVOKE {_READ} ON {DATABASE}.{names}" for names in AUDITORS_TABLES),
        *withheld,
    )


ANALYST = Role("analyst", _analyst())
AUDITOR = Role(
    "auditor", tuple(f"GRANT SHOW TABLES, SHOW COLUMNS, SELECT ON {DATABASE}.{names}" for names in AUDITORS_TABLES)
)
ADMIN = Role("admin", (f"GRANT {_READ} ON *.*",), ease=10, sees_system=True)
ROLES: dict[str, Role] = {role.name: role for role in (ANALYST, AUDITOR, ADMIN)}

# Not one of the port's: of the sink's own sessions, which take no role and so have all.
_OWNER = Role("viworks_owner", ("GRANT ALL ON *.* WITH GRANT OPTION",))

_USERS = """\
<clickhouse>
    <profiles><default/></profiles>
    <quotas><default/></quotas>
    <roles>
{roles}
    </roles>
    <users>
        <default>
            <password></password>
            <networks><ip>::/0</ip></networks>
            <profile>default</profile>
            <quota>default</quota>
            <grants>
{memberships}
            </grants>
        </default>
    </users>
</clickhouse>
"""


def users_xml() -> str:
    """The embedded engine's file of users."""
    every = (_OWNER, *ROLES.values())
    roles = "\n".join(f"        <{role.name}><grants>{_queries(role.grants)}</grants></{role.name}>" for role in every)
    memberships = _queries(tuple(f"GRANT {role.name}" for role in every))
    return _USERS.format(roles=roles, memberships=f"                {memberships}")


def _queries(statements: tuple[str, ...]) -> str:
    return "".join(f"<query>{escape(statement)}</query>" for statement in statements)
