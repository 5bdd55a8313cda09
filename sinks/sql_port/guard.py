"""What ``readonly = 1`` does not refuse in the embedded engine, refused before a statement runs.

The embedded engine takes its caller for the owner of the machine: the function ``file`` reads any path, INTO OUTFILE writes
one, KILL QUERY ends an insert. ClickHouse's own parser says what a statement is, so that no comment, quote or case hides
anything from it; the decision is made on its canonical text.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Collection, Iterable, Mapping

from sinks.errors import QueryRefused

READONLY = 164
NOT_IMPLEMENTED = 48
ACCESS_DENIED = 497
_BAD_QUERY_PARAMETER = 457

# Roots of ClickHouse's syntax tree that only read, or that the engine itself answers for (Set).
_READING = re.compile(
    r"(SelectWithUnionQuery|SelectIntersectExceptQuery|Explain|DescribeQuery|DescribeCacheQuery|UseQuery|Set|Show\w*|Exists\w*)"
    r"\b"
)

# Files, network, other processes, the engine's own code. As a name alone already: a function can be passed by its name.
_NAMES = frozenset(
    name.lower()
    for name in (
        "file",
        "executable",
        "python",
        "eval",
        "catboostEvaluate",
        "reverseDNSQuery",
        "addressToLine",
        "addressToLineWithInlines",
        "addressToSymbol",
        "showCertificate",
        "icebergTruncate",
        "clusterAllReplicas",
        "AIClassify",
        "AIEmbed",
        "AIExtract",
        "AIFilter",
        "AIGenerate",
        "AIRedact",
        "AISimilarity",
        "AITranslate",
    )
)
# Words that stand as columns or aliases too, so only as a call.
_CALLS = frozenset(
    {"arrowstream", "url", "s3", "cluster", "remote", "remotesecure", "sqlite", "mysql", "postgresql", "input"}
)

_TOKEN = re.compile(
    r"'(?:[^'\\]|\\.|'')*'|`((?:[^`\\]|\\.|``)*)`|\"((?:[^\"\\]|\\.|\"\")*)\"|([A-Za-z_]\w*)|(\()|\S", re.DOTALL
)


_TABLE = re.compile(r"^ +TableIdentifier (\S+)", re.MULTILINE)
# Table functions that make rows of nothing but their arguments. There are fifty more, most with a way to files or networks.
_OPEN_TABLE_FUNCTIONS = frozenset(
    {"numbers", "numbers_mt", "zeros", "zeros_mt", "primes", "values", "generaterandom", "generateseries", "generate_series"}
    | {"null", "view", "viewifpermitted", "fuzzjson", "sqlstandardvalues"}
)
_TABLE_FUNCTION = re.compile(r"^( *)TableExpression.*\n\1 Function (\S+)", re.MULTILINE)
_SETTINGS = re.compile(r"^( +)Set$", re.MULTILINE)
_ONE_SELECT = re.compile(r"SelectWithUnionQuery.*\n ExpressionList \(children 1\)\n  SelectQuery\b")
_KILL = re.compile(r"KILL QUERY WHERE query_id = '([^'\\\\]*)'(?: A?SYNC)?(?: FORMAT \w+)?")
_IDENTIFIER_PARAMETER = re.compile(r"\{\s*(\w+)\s*:\s*Identifier\s*\}")
_PLAIN = re.compile(r"\A[A-Za-z0-9_.]*\Z")


def check_statement(canonical: str, tree: str, parameters: Mapping[str, str]) -> None:
    """Decide on one statement.

    Args:
        canonical: as ``formatQuerySingleLine`` writes it.
        tree: as ``EXPLAIN AST`` prints it.
        parameters: the values of its ``{name:Type}``; one can be an identifier.

    Raises:
        QueryRefused: with ClickHouse's code for it.
    """
    if not _READING.match(tree):
        raise refusal(READONLY, "default: Cannot execute query in readonly mode. (READONLY)")
    for _, name in _TABLE_FUNCTION.findall(tree):
        if name.lower() not in _OPEN_TABLE_FUNCTIONS:
            raise refusal(READONLY, f"default: Cannot use {name} in readonly mode. (READONLY)")
    if _sets_inside(tree):
        raise refusal(READONLY, "Cannot modify settings in a part of a query in readonly mode. (READONLY)")
    words = list(_words(canonical))
    if any(word == "OUTFILE" for word, _ in words):
        raise refusal(NOT_IMPLEMENTED, "INTO OUTFILE is not allowed. (NOT_IMPLEMENTED)")
    words += [(_plain(parameters.get(name, "")), False) for name in _IDENTIFIER_PARAMETER.findall(canonical)]
    for word, is_call in words:
        if _forbidden(word.lower(), is_call):
            raise refusal(READONLY, f"default: Cannot use {word} in readonly mode. (READONLY)")


def _sets_inside(tree: str) -> bool:
    """Whether a part of the statement has SETTINGS of its own. The engine checks those of the whole, and only those."""
    of_the_whole = {1, 3} if _ONE_SELECT.match(tree) else {1}
    return any(len(indent) not in of_the_whole for indent in _SETTINGS.findall(tree))


def tables_of(tree: str) -> tuple[str, ...]:
    """The tables that a statement names, in alphabetical order; a WITH's own among them."""
    return tuple(sorted(set(_TABLE.findall(tree))))


def check_system_tables(tables: Iterable[str], database: str, open_ones: Collection[str]) -> None:
    """Say it where one of ``system``'s tables is none of the role's. The rows are hidden by a filter in any case.

    Raises:
        QueryRefused: ACCESS_DENIED, as ClickHouse has it.
    """
    for table in tables:
        schema, _, name = table.rpartition(".")
        if (schema or database).lower() == "system" and name not in open_ones:
            needed = f"it's necessary to have the grant SELECT ON system.{name}."
            raise refusal(ACCESS_DENIED, f"Not enough privileges. To execute this query, {needed} (ACCESS_DENIED)")


def killed_query(canonical: str) -> str | None:
    """The id that ``KILL QUERY WHERE query_id = '...'`` names: the one form of KILL that the port knows."""
    found = _KILL.fullmatch(canonical)
    return found.group(1) if found else None


def with_output(canonical: str, clause: str, default_format: str) -> tuple[str, str]:
    """A SELECT that writes its result where ``clause`` says, and the format that it writes in."""
    tokens = list(_TOKEN.finditer(canonical))
    for token, after in reversed(list(itertools.pairwise(tokens))):
        name = after.group(1) or after.group(2) or after.group(3)
        if token.group(3) == "FORMAT" and name and canonical[after.end() :].lstrip()[:9] in {"", "SETTINGS "}:
            return f"{canonical[: token.start()]}{clause} {canonical[token.start() :]}", name
    return f"{canonical} {clause} FORMAT {default_format}", default_format


def _forbidden(word: str, is_call: bool) -> bool:
    if word in _NAMES:
        return True
    # merge and the mergeTree functions lead round the filters that hide expired rows.
    return is_call and (word in _CALLS or word == "merge" or word.startswith("mergetree"))


def _plain(identifier: str) -> str:
    """The identifier that a parameter stands for. An escaped one could be any other."""
    if not _PLAIN.match(identifier):
        raise refusal(_BAD_QUERY_PARAMETER, "An Identifier parameter is not a plain name. (BAD_QUERY_PARAMETER)")
    return identifier.rpartition(".")[2]


def refusal(code: int, message: str) -> QueryRefused:
    """A refusal in ClickHouse's own form."""
    return QueryRefused(code, f"Code: {code}. DB::Exception: {message}")


def _words(text: str) -> Iterable[tuple[str, bool]]:
    """Names and keywords outside of string literals, and whether an opening parenthesis follows."""
    tokens = [(match.group(1) or match.group(2) or match.group(3) or "", match.group(4)) for match in _TOKEN.finditer(text)]
    following = [bool(parenthesis) for _, parenthesis in tokens[1:]] + [False]
    return [(word, is_call) for (word, _), is_call in zip(tokens, following, strict=True) if word]
