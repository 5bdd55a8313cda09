"""Statements on read-only handles of the embedded engine.

Each statement has a handle of its own (opening one takes under 2 ms): its settings are set and its role is taken first, then
``readonly = 1``, after which ClickHouse lets nothing of them be changed. So roles, retention, deduplication and limits hold
for any statement: ``additional_table_filters`` hides expired rows of every table wherever it is read, ``final`` shows
replays collapsed.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field

import chdb
from chdb.state.sqlitelike import Connection

from sinks.errors import QueryRefused
from sinks.settings import SinkSettings
from sinks.sql_port.guard import (
    READONLY,
    check_statement,
    check_system_tables,
    killed_query,
    refusal,
    tables_of,
    with_output,
)
from sinks.sql_port.limits import limits
from sinks.sql_port.roles import ANALYST, OPEN_SYSTEM_TABLES, ROLES, Role
from sinks.tables import DATABASE

_UNKNOWN = 1002
_SYNTAX_ERROR = 62
_UNKNOWN_FORMAT = 73
_CODE = re.compile(r"Code: (\d+)\. ")
_NAME = re.compile(r"\A[A-Za-z_][A-Za-z0-9_]*\Z")
_PARSED_FROM = re.compile(r"\s*:? In scope SELECT formatQuerySingleLine\(.*\Z", re.DOTALL)
_NESTED = re.compile(r"\A(?:Code: \d+\. DB::Exception: )+(?=Code: \d+\. )")
_CHECK = "viworks_statement"


@dataclass(frozen=True, slots=True)
class Statement:
    """What a request asks for. ``settings`` were checked by the caller; parameters are in ClickHouse's escaped form."""

    sql: str
    default_format: str = "TabSeparated"
    database: str = DATABASE
    settings: Mapping[str, str] = field(default_factory=dict)
    parameters: Mapping[str, str] = field(default_factory=dict)
    role: Role = ANALYST


@dataclass(frozen=True, slots=True)
class Answer:
    """A whole result: in ``format``, with what it took."""

    body: bytes
    format: str
    read_rows: int
    read_bytes: int
    result_rows: int
    elapsed_ns: int


@dataclass(frozen=True, slots=True)
class Shape:
    """What ClickHouse's own parser says of a statement.

    Attributes:
        masked: with ``?`` in place of each literal; ``digest`` is its hash.
        kills: the id of the query that it is to end.
    """

    canonical: str
    tables: tuple[str, ...]
    is_select: bool
    masked: str
    digest: str
    kills: str | None = None


class Prepared:
    """A statement that is known to be harmless, on a handle of its own. Blocking; close it in the end."""

    def __init__(self, handle: Connection, statement: Statement, shape: Shape) -> None:
        self._handle = handle
        self._statement = statement
        self.shape = shape
        self.format = with_output(shape.canonical, "", statement.default_format)[1]

    def run(self) -> Answer:
        """The whole result. Raises QueryRefused with ClickHouse's own code and text."""
        if self.shape.kills is not None:
            raise refusal(READONLY, "default: Cannot execute query in readonly mode. (READONLY)")
        return self._run(self._statement.sql)

    def run_into(self, descriptor: int, compression: str) -> Answer:
        """Write the result of a SELECT into a pipe as it comes; the answer's body is empty. Raises QueryRefused."""
        clause = f"INTO OUTFILE '/dev/fd/{descriptor}' TRUNCATE COMPRESSION '{compression}'"
        composed, _ = with_output(self.shape.canonical, clause, self._statement.default_format)
        # But for the quotes of a format that is called like a keyword (Null, Values).
        if _canonical(self._handle, composed).replace("`", "") != composed.replace("`", ""):
            raise refusal(_SYNTAX_ERROR, "The statement's output clause is not where one can be. (SYNTAX_ERROR)")
        return self._run(composed)

    def close(self) -> None:
        """Give the handle back."""
        self._handle.close()

    def _run(self, sql: str) -> Answer:
        try:
            result = self._handle.query(sql, self._statement.default_format)
        except (RuntimeError, ValueError) as error:
            raise refused(str(error)) from None
        return Answer(
            body=result.bytes() or b"",
            format=self.format,
            read_rows=result.storage_rows_read(),
            read_bytes=result.storage_bytes_read(),
            result_rows=result.rows_read(),
            elapsed_ns=int(result.elapsed() * 1e9),
        )


class Reader:
    """Read-only access to the embedded engine. Blocking: for threads, any number at once."""

    def __init__(self, connection_string: str, settings: SinkSettings) -> None:
        self._connection_string = connection_string
        handle = self.handle()
        try:
            self.timezone = _text(handle, "SELECT timezone()")
            self.version = _text(handle, "SELECT version()")
            self.setting_names = frozenset(_text(handle, "SELECT name FROM system.settings").split())
            names = _text(handle, "SELECT name FROM system.tables WHERE database = 'system'").split()
        finally:
            handle.close()
        closed = sorted(set(names) - set(OPEN_SYSTEM_TABLES))
        self._limits = {role.name: limits(settings, role, () if role.sees_system else closed) for role in ROLES.values()}

    def handle(self) -> Connection:
        """A handle with the rights of the process. Raises QueryRefused."""
        try:
            return chdb.connect(self._connection_string)  # type: ignore[no-untyped-call, no-any-return]
        except RuntimeError as error:
            raise refused(str(error)) from None

    def prepare(self, statement: Statement, mark: str = "") -> Prepared:
        """Check a statement, on a handle that can do no more than it may. ``mark`` is its ``log_comment``.

        Raises:
            QueryRefused: with ClickHouse's own code and text.
        """
        if not _NAME.match(statement.default_format):
            raise refusal(_UNKNOWN_FORMAT, "Unknown format. (UNKNOWN_FORMAT)")
        handle = self.handle()
        try:
            settings = {**self._limits[statement.role.name], **statement.settings, "log_comment": mark}
            _set_up(handle, settings, statement)
            shape = _checked(handle, statement)
        except (RuntimeError, ValueError) as error:
            handle.close()
            raise refused(str(error)) from None
        except BaseException:
            handle.close()
            raise
        return Prepared(handle, statement, shape)

    def run(self, statement: Statement) -> Answer:
        """The statement's whole result. Raises QueryRefused with ClickHouse's own code and text."""
        prepared = self.prepare(statement)
        try:
            return prepared.run()
        finally:
            prepared.close()


def refused(text: str) -> QueryRefused:
    """ClickHouse's code and text, from what the engine says; once where it says it several times over."""
    start = text.find("Code: ")
    text = _NESTED.sub("", text[start:].strip()) if start >= 0 else f"Code: {_UNKNOWN}. DB::Exception: {text.strip()}"
    found = _CODE.match(text)
    return QueryRefused(int(found.group(1)) if found else _UNKNOWN, text)


def _set_up(handle: Connection, settings: Mapping[str, str], statement: Statement) -> None:
    changes = [
        f"{_setting(name)} = {value if name == 'additional_table_filters' else _quoted(value)}"
        for name, value in settings.items()
    ]
    changes += [f"param_{_setting(name)} = {_quoted(value)}" for name, value in statement.parameters.items()]
    handle.query(f"SET {', '.join(changes)}")
    handle.query(f"USE {_identifier(statement.database)}")
    handle.query(f"SET ROLE {statement.role.name}")
    handle.query("SET readonly = 1")


def _checked(handle: Connection, statement: Statement) -> Shape:
    canonical = _canonical(handle, statement.sql)
    # The canonical text is one statement, so that nothing of it can run here.
    tree = handle.query(f"EXPLAIN AST {canonical}", "TSVRaw").bytes().decode()
    kills = killed_query(canonical)
    if kills is None:
        check_statement(canonical, tree, statement.parameters)
    tables = tables_of(tree)
    if not statement.role.sees_system:
        check_system_tables(tables, statement.database, OPEN_SYSTEM_TABLES)
    masked = f"SELECT normalizeQuery({{{_CHECK}:String}}), toString(normalizedQueryHash({{{_CHECK}:String}}))"
    text, digest = handle.query(masked, "TSVRaw").bytes().decode().rstrip("\n").rsplit("\t", 1)
    return Shape(canonical, tables, tree.startswith(("SelectWithUnion", "SelectIntersect")), text, digest, kills)


def _canonical(handle: Connection, sql: str) -> str:
    try:
        handle.query(f"SET param_{_CHECK} = {_quoted(_escaped(sql))}")
        return str(handle.query(f"SELECT formatQuerySingleLine({{{_CHECK}:String}})", "RawBLOB").bytes().decode())
    except RuntimeError as error:
        raise refused(_PARSED_FROM.sub(" (SYNTAX_ERROR)", str(error))) from None


def _text(handle: Connection, sql: str) -> str:
    return str(handle.query(sql, "TSVRaw").bytes().decode().strip())


def _setting(name: str) -> str:
    if not _NAME.match(name):
        raise refusal(_SYNTAX_ERROR, "A setting or parameter has a name that is none. (SYNTAX_ERROR)")
    return name


def _identifier(name: str) -> str:
    escaped = name.replace("\\", "\\\\").replace("`", "\\`")
    return f"`{escaped}`"


def _quoted(text: str) -> str:
    # chDB looks in every text that it is given for Python(NAME), and for an object of that name in this process.
    escaped = text.replace("\\", "\\\\").replace("'", "\\'").replace("(", "\\x28")
    return f"'{escaped}'"


def _escaped(text: str) -> str:
    """A String parameter's value is read as a field of TabSeparated."""
    return text.replace("\\", "\\\\").replace("\t", "\\t").replace("\n", "\\n").replace("\r", "\\r").replace("\0", "\\0")
