"""Runs one statement on a read-only handle of the embedded engine.

Each statement has a handle of its own (opening one takes under 2 ms): its settings are set first, then ``readonly = 1``,
after which ClickHouse lets nothing of them be changed. So retention, deduplication and limits hold for any statement:
``additional_table_filters`` hides expired rows of every table wherever it is read, ``final`` shows replays collapsed.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field

import chdb
from chdb.state.sqlitelike import Connection

from sinks.errors import QueryRefused
from sinks.settings import SinkSettings
from sinks.sql_port.guard import check_statement, refusal
from sinks.tables import DATABASE, RETENTIONS

_UNKNOWN = 1002
_SYNTAX_ERROR = 62
_CODE = re.compile(r"Code: (\d+)\. ")
_FORMAT = re.compile(r"\bFORMAT\s+(\w+)\s*(?:SETTINGS\b[^()]*)?$", re.IGNORECASE)
_NAME = re.compile(r"\A[A-Za-z_][A-Za-z0-9_]*\Z")
_PARSED_FROM = re.compile(r"\s*:? In scope SELECT formatQuerySingleLine\(.*\Z", re.DOTALL)
_TWICE = re.compile(r"\A(Code: \d+\. DB::Exception: )\1")
_CHECK = "viworks_statement"


@dataclass(frozen=True, slots=True)
class Statement:
    """What a request asks for. ``settings`` were checked by the caller; parameters are in ClickHouse's escaped form."""

    sql: str
    default_format: str = "TabSeparated"
    database: str = DATABASE
    settings: Mapping[str, str] = field(default_factory=dict)
    parameters: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Answer:
    """A whole result: in ``format``, with what it took."""

    body: bytes
    format: str
    read_rows: int
    read_bytes: int
    result_rows: int
    elapsed_ns: int


class Reader:
    """Read-only access to the embedded engine. Blocking: ``run`` is for threads, any number at once."""

    def __init__(self, connection_string: str, settings: SinkSettings) -> None:
        self._connection_string = connection_string
        self._limits = limits(settings)

    def run(self, statement: Statement) -> Answer:
        """The statement's result. Raises QueryRefused with ClickHouse's own code and text."""
        try:
            handle = chdb.connect(self._connection_string)  # type: ignore[no-untyped-call]
        except RuntimeError as error:
            raise _refused(str(error)) from None
        try:
            _prepare(handle, {**self._limits, **statement.settings}, statement)
            canonical = _checked(handle, statement)
            result = handle.query(statement.sql, statement.default_format)
        except (RuntimeError, ValueError) as error:
            raise _refused(str(error)) from None
        finally:
            handle.close()
        return Answer(
            body=result.bytes() or b"",
            format=format_of(canonical, statement.default_format),
            read_rows=result.storage_rows_read(),
            read_bytes=result.storage_bytes_read(),
            result_rows=result.rows_read(),
            elapsed_ns=int(result.elapsed() * 1e9),
        )


def limits(settings: SinkSettings) -> dict[str, str]:
    """What holds for every statement."""
    filters = ", ".join(f"'{DATABASE}.{table}': '{retention.predicate}'" for table, retention in RETENTIONS.items())
    return {
        "final": "1",
        "additional_table_filters": f"{{{filters}}}",
        "max_execution_time": str(settings.sql_max_execution_s),
        "max_result_rows": str(settings.sql_max_result_rows),
        "max_result_bytes": str(settings.sql_max_result_bytes),
        "max_memory_usage": str(settings.sql_max_memory_bytes),
        "result_overflow_mode": "throw",
        "timeout_overflow_mode": "throw",
    }


def format_of(canonical: str, default: str) -> str:
    """The output format of a statement in canonical form."""
    found = _FORMAT.search(canonical)
    return found.group(1) if found else default


def _prepare(handle: Connection, settings: Mapping[str, str], statement: Statement) -> None:
    handle.query(f"USE {_identifier(statement.database)}")
    for name, value in settings.items():
        literal = value if name == "additional_table_filters" else _quoted(value)
        handle.query(f"SET {_setting(name)} = {literal}")
    for name, value in statement.parameters.items():
        handle.query(f"SET param_{_setting(name)} = {_quoted(value)}")
    handle.query(f"SET param_{_CHECK} = {_quoted(_escaped(statement.sql))}")
    handle.query("SET readonly = 1")


def _checked(handle: Connection, statement: Statement) -> str:
    """The canonical form of the one statement that the text is, once it is known to be harmless."""
    try:
        canonical = handle.query(f"SELECT formatQuerySingleLine({{{_CHECK}:String}})", "RawBLOB").bytes().decode()
    except RuntimeError as error:
        raise _refused(_PARSED_FROM.sub(" (SYNTAX_ERROR)", str(error))) from None
    # The canonical text is one statement, so that nothing of it can run here.
    tree = handle.query(f"EXPLAIN AST {canonical}", "TSVRaw").bytes().decode()
    check_statement(canonical, tree, statement.parameters)
    return str(canonical)


def _refused(text: str) -> QueryRefused:
    start = text.find("Code: ")
    text = _TWICE.sub(r"\1", text[start:].strip()) if start >= 0 else f"Code: {_UNKNOWN}. DB::Exception: {text.strip()}"
    found = _CODE.match(text)
    return QueryRefused(int(found.group(1)) if found else _UNKNOWN, text)


def _setting(name: str) -> str:
    if not _NAME.match(name):
        raise refusal(_SYNTAX_ERROR, "A setting or parameter has a name that is none. (SYNTAX_ERROR)")
    return name


def _identifier(name: str) -> str:
    escaped = name.replace("\\", "\\\\").replace("`", "\\`")
    return f"`{escaped}`"


def _quoted(text: str) -> str:
    escaped = text.replace("\\", "\\\\").replace("'", "\\'")
    return f"'{escaped}'"


def _escaped(text: str) -> str:
    """A String parameter's value is read as a field of TabSeparated."""
    return text.replace("\\", "\\\\").replace("\t", "\\t").replace("\n", "\\n").replace("\r", "\\r").replace("\0", "\\0")
