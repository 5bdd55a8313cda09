"""Answers as ClickHouse gives them: headers, status codes, compression."""

from __future__ import annotations

import gzip
import importlib
import json
from collections.abc import Mapping
from types import ModuleType

from starlette.responses import Response

from sinks.errors import QueryRefused
from sinks.sql_port.reader import Answer

# As ClickHouse's exceptionCodeToHTTPStatus has it; all others are 500.
_STATUS: dict[int, int] = {
    194: 401,
    **dict.fromkeys((192, 193, 516, 512), 403),
    **dict.fromkeys((6, 25, 26, 27, 36, 38, 41, 53, 62, 72, 117, 349, 427, 456, 457), 400),
    **dict.fromkeys((46, 47, 50, 56, 60, 63, 73, 78, 81, 115, 152, 336, 511), 404),
    159: 408,
    285: 411,
    209: 503,
    76: 503,
    439: 503,
    48: 501,
    229: 413,
}

_CONTENT_TYPES = {
    "TabSeparated": "text/tab-separated-values; charset=UTF-8",
    "TSV": "text/tab-separated-values; charset=UTF-8",
    "TabSeparatedWithNames": "text/tab-separated-values; charset=UTF-8",
    "TabSeparatedWithNamesAndTypes": "text/tab-separated-values; charset=UTF-8",
    "CSV": "text/csv; charset=UTF-8; header=absent",
    "CSVWithNames": "text/csv; charset=UTF-8; header=present",
    "JSON": "application/json; charset=UTF-8",
    "JSONCompact": "application/json; charset=UTF-8",
    "JSONEachRow": "application/x-ndjson; charset=UTF-8",
    "Pretty": "text/plain; charset=UTF-8",
    "PrettyCompact": "text/plain; charset=UTF-8",
    "Vertical": "text/plain; charset=UTF-8",
    "Native": "application/octet-stream",
    "RowBinary": "application/octet-stream",
    "ArrowStream": "application/octet-stream",
}
_MIN_COMPRESSED_BYTES = 512


def success(answer: Answer, common: Mapping[str, str], encoding: str | None) -> Response:
    """A result; ``encoding`` as ``chosen_encoding`` found it."""
    headers = {
        **common,
        "X-ClickHouse-Format": answer.format,
        "X-ClickHouse-Summary": json.dumps(_summary(answer)),
        "Content-Type": _CONTENT_TYPES.get(answer.format, "text/plain; charset=UTF-8"),
    }
    body = answer.body
    if encoding and len(body) >= _MIN_COMPRESSED_BYTES:
        body = compress(body, encoding)
        headers["Content-Encoding"] = encoding
    return Response(body, headers=headers)


def failure(error: QueryRefused, common: Mapping[str, str]) -> Response:
    """An error: ClickHouse's text, its code in a header, and the status that belongs to the code."""
    headers = {**common, "X-ClickHouse-Exception-Code": str(error.code), "Content-Type": "text/plain; charset=UTF-8"}
    status = _STATUS.get(error.code, 500)
    if status == 401:
        headers["WWW-Authenticate"] = 'Basic realm="ClickHouse server HTTP API"'
    return Response(error.text + "\n", status, headers)


def chosen_encoding(accepted: str) -> str | None:
    """The encoding to use of those in an Accept-Encoding header, None for none that can be made here."""
    names = [part.partition(";")[0].strip().lower() for part in accepted.split(",")]
    return next((name for name in ("zstd", "lz4", "gzip") if name in names and (name == "gzip" or _module(name))), None)


def compress(body: bytes, encoding: str) -> bytes:
    """The body in an encoding that ``chosen_encoding`` found."""
    if encoding == "gzip":
        return gzip.compress(body, 3)
    module = _module(encoding)
    return bytes(module.compress(body)) if module else body


def _module(encoding: str) -> ModuleType | None:
    """Which compressors there are depends on the Python version: lz4 has no wheel for all, zstd is in 3.14's library."""
    try:
        return importlib.import_module({"lz4": "lz4.frame", "zstd": "compression.zstd"}[encoding])
    except ImportError:
        return None


def _summary(answer: Answer) -> dict[str, str]:
    return {
        "read_rows": str(answer.read_rows),
        "read_bytes": str(answer.read_bytes),
        "written_rows": "0",
        "written_bytes": "0",
        "total_rows_to_read": str(answer.read_rows),
        "result_rows": str(answer.result_rows),
        "result_bytes": str(len(answer.body)),
        "elapsed_ns": str(answer.elapsed_ns),
    }
