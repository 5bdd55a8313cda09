"""From an HTTP request to a statement: ClickHouse's parameters and headers, and which settings a request may bring."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping

from sinks.errors import QueryRefused
from sinks.settings import SinkSettings
from sinks.sql_port.guard import NOT_IMPLEMENTED, READONLY, refusal
from sinks.sql_port.limits import ceilings
from sinks.sql_port.reader import Statement
from sinks.sql_port.roles import ANALYST, Role
from sinks.tables import DATABASE

BAD_ARGUMENTS = 36
UNKNOWN_SETTING = 115
SET_NON_GRANTED_ROLE = 512
_MAX_PARAMETERS = 1000

# Of the interface, not of the engine. Sessions hold nothing here, since nothing can be set or created in one.
_TRANSPORT = frozenset(
    {
        "query",
        "database",
        "default_format",
        "query_id",
        "quota_key",
        "role",
        "session_id",
        "session_timeout",
        "session_check",
        "close_session",
        "compress",
        "decompress",
        "buffer_size",
        "wait_end_of_query",
        "enable_http_compression",
        "http_zlib_compression_level",
        "send_progress_in_http_headers",
        "http_headers_progress_interval_ms",
        "http_write_exception_in_output_format",
        "http_wait_end_of_query",
        "http_response_buffer_size",
        "add_http_cors_header",
        "cancel_http_readonly_queries_on_client_close",
        "client_protocol_version",
        "log_comment",
        "log_queries",
        "readonly",
        "stacktrace",
    }
)
# Limits that there are none of, so that any number is a tighter one.
TIGHTENING = frozenset(
    {"max_rows_to_read", "max_bytes_to_read", "max_rows_to_group_by", "max_columns_to_read", "max_threads"}
)
HARMLESS = frozenset(
    {
        "cast_string_to_dynamic_use_inference",
        "count_distinct_implementation",
        "date_time_input_format",
        "date_time_output_format",
        "extremes",
        "group_by_use_nulls",
        "join_use_nulls",
        "limit",
        "max_block_size",
        "offset",
        "output_format_decimal_trailing_zeros",
        "output_format_write_statistics",
        "session_timezone",
        "totals_mode",
        "use_client_time_zone",
    }
)
_HARMLESS_PREFIXES = tuple(
    f"output_format_{name}_" for name in ("arrow", "binary", "csv", "json", "native", "parquet", "pretty", "tsv", "markdown")
)


def statement_of(
    query: Iterable[tuple[str, str]],
    headers: Mapping[str, str],
    body: str,
    settings: SinkSettings,
    role: Role = ANALYST,
    known: Collection[str] = (),
) -> Statement:
    """The statement of a request: ``query``, then the body. ``known`` are the names of ClickHouse's settings, if known.

    Raises:
        QueryRefused: a setting that may not be changed, or lifts a limit, or is none; a role that is not the token's.
    """
    listed = list(query)
    pairs = dict(listed)
    if len(pairs) > _MAX_PARAMETERS:
        raise refusal(BAD_ARGUMENTS, f"A request has at most {_MAX_PARAMETERS} parameters. (BAD_ARGUMENTS)")
    if any(name == "role" and value != role.name for name, value in listed):
        raise refusal(SET_NON_GRANTED_ROLE, "Role should be granted to set as a current. (SET_NON_GRANTED_ROLE)")
    if is_true(pairs.get("compress")) or is_true(pairs.get("decompress")):
        raise refusal(NOT_IMPLEMENTED, "Native blocks are not compressed here: use Accept-Encoding. (NOT_IMPLEMENTED)")
    sql = "\n".join(part for part in (pairs.get("query", ""), body) if part)
    return Statement(
        sql=sql,
        default_format=pairs.get("default_format") or headers.get("x-clickhouse-format") or "TabSeparated",
        database=pairs.get("database") or headers.get("x-clickhouse-database") or DATABASE,
        settings=_settings_of(pairs, ceilings(settings, role), known),
        parameters={name[6:]: value for name, value in pairs.items() if name.startswith("param_")},
        role=role,
    )


def is_true(value: str | None) -> bool:
    """Whether a parameter is on, in ClickHouse's words."""
    return value is not None and value.lower() in {"1", "true", "yes", "on"}


def _settings_of(pairs: Mapping[str, str], highest: Mapping[str, float], known: Collection[str]) -> dict[str, str]:
    asked = {name: value for name, value in pairs.items() if name not in _TRANSPORT and not name.startswith("param_")}
    for name, value in asked.items():
        if name in highest:
            _check_ceiling(name, value, highest[name])
        elif name in TIGHTENING:
            _check_ceiling(name, value, float("inf"))
        elif name not in HARMLESS and not name.startswith(_HARMLESS_PREFIXES):
            raise _refused(name, known)
    return asked


def _refused(name: str, known: Collection[str]) -> QueryRefused:
    if known and name not in known:
        return refusal(UNKNOWN_SETTING, f"Setting {name} is neither a builtin setting nor started with the prefix "
                       "'SQL_' registered for user-defined settings. (UNKNOWN_SETTING)")  # fmt: skip
    return refusal(READONLY, f"Cannot modify '{name}' setting in readonly mode. (READONLY)")


def _check_ceiling(name: str, value: str, ceiling: float) -> None:
    try:
        wanted = float(value)
    except ValueError:
        raise refusal(BAD_ARGUMENTS, f"Setting {name} is not a number. (BAD_ARGUMENTS)") from None
    # Zero means without a limit.
    if not 0 < wanted <= ceiling:
        raise refusal(READONLY, f"Cannot modify '{name}' setting in readonly mode. (READONLY)")
