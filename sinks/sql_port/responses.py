"""Answers as ClickHouse gives them: headers, status codes, compression, errors in the middle of a result."""

from __future__ import annotations

import gzip
import json
import secrets
import string
import zlib
from collections.abc import Iterable, Mapping

from starlette.responses import Response
from starlette.types import Send

from sinks.errors import QueryRefused
from sinks.sql_port.control import Progress
from sinks.sql_port.reader import Answer

# As ClickHouse's exceptionCodeToHTTPStatus has it; all others are 500.
_STATUS: dict[int, int] = {
    194: 401,
    **dict.fromkeys((192, 193, 516, 512, 497), 403),
    **dict.fromkeys((6, 8, 15, 25, 26, 27, 36, 38, 41, 44, 53, 62, 72, 117, 167, 168, 321, 349, 427, 456, 457), 400),
    **dict.fromkeys((46, 47, 50, 56, 60, 63, 73, 78, 81, 115, 152, 336, 511), 404),
    159: 408,
    411: 411,
    **dict.fromkeys((76, 209, 439), 503),
    48: 501,
    229: 413,
}
# What is none of a statement's business to do: READONLY, ACCESS_DENIED, NOT_IMPLEMENTED and the like.
REFUSALS = frozenset({48, 164, 192, 193, 194, 202, 229, 452, 497, 512, 516})

_CONTENT_TYPES = {
    "TabSeparated": "text/tab-separated-values; charset=UTF-8",
    "TSV": "text/tab-separated-values; charset=UTF-8",
    "CSV": "text/csv; charset=UTF-8; header=absent",
    "CSVWithNames": "text/csv; charset=UTF-8; header=present",
    "CSVWithNamesAndTypes": "text/csv; charset=UTF-8; header=present",
    "XML": "application/xml; charset=UTF-8",
    "Markdown": "text/markdown; charset=UTF-8",
    "Parquet": "application/octet-stream",
    "ORC": "application/octet-stream",
    "Avro": "application/octet-stream",
    "Npy": "application/octet-stream",
    "MsgPack": "application/octet-stream",
}
_CONTENT_TYPE_PREFIXES = {
    "TabSeparated": "text/tab-separated-values; charset=UTF-8",
    "TSV": "text/tab-separated-values; charset=UTF-8",
    "JSONEachRow": "application/x-ndjson; charset=UTF-8",
    "JSONCompactEachRow": "application/x-ndjson; charset=UTF-8",
    "JSONStringsEachRow": "application/x-ndjson; charset=UTF-8",
    "JSONLines": "application/x-ndjson; charset=UTF-8",
    "NDJSON": "application/x-ndjson; charset=UTF-8",
    "JSON": "application/json; charset=UTF-8",
    "Native": "application/octet-stream",
    "RowBinary": "application/octet-stream",
    "Arrow": "application/octet-stream",
    "Protobuf": "application/octet-stream",
}
# In ClickHouse's order of preference; the engine itself compresses.
_ENCODINGS = ("br", "lz4", "snappy", "gzip", "deflate", "xz", "zstd")
_LEAST_COMPRESSED_BYTES = 512
_EXCEPTION_BYTES = 16 * 1024


class BrokenOff(Exception):
    """An answer that began broke off: its connection ends without the answer's end."""


def failure(error: QueryRefused, common: Mapping[str, str]) -> Response:
    """An error: ClickHouse's text, its code in a header, and the status that belongs to the code."""
    headers = {**common, "X-ClickHouse-Exception-Code": str(error.code), "Content-Type": "text/plain; charset=UTF-8"}
    status = _STATUS.get(error.code, 500)
    if status == 401:
        headers["WWW-Authenticate"] = 'Basic realm="ClickHouse server HTTP API"'
    if status == 503:
        headers["Retry-After"] = "1"
    return Response(error.text + "\n", status, headers)


def chosen_encoding(accepted: str) -> str | None:
    """The encoding to use of those in an Accept-Encoding header, None for none that can be made here."""
    names = {part.partition(";")[0].strip().lower() for part in accepted.split(",")}
    return next((name for name in _ENCODINGS if name in names), None)


def engine_compression(encoding: str | None) -> str:
    """The engine's name for an encoding."""
    return encoding or "none"


def compressed(body: bytes, encoding: str) -> tuple[bytes, str | None]:
    """A short result that the engine did not compress; the encoding is None where it stayed as it was."""
    if len(body) < _LEAST_COMPRESSED_BYTES or encoding not in {"gzip", "deflate"}:
        return body, None
    return (gzip.compress(body, 3) if encoding == "gzip" else zlib.compress(body, 3)), encoding


def answer_headers(
    common: Mapping[str, str], output_format: str, encoding: str | None, summary: Mapping[str, str]
) -> dict[str, str]:
    """The headers of a result."""
    headers = {
        **common,
        "X-ClickHouse-Format": output_format,
        "X-ClickHouse-Summary": json.dumps(summary, separators=(",", ":")),
        "Content-Type": content_type(output_format),
    }
    return headers | ({"Content-Encoding": encoding} if encoding else {})


def content_type(output_format: str) -> str:
    """The media type of a format."""
    if output_format in _CONTENT_TYPES:
        return _CONTENT_TYPES[output_format]
    found = (kind for prefix, kind in _CONTENT_TYPE_PREFIXES.items() if output_format.startswith(prefix))
    return next(found, "text/plain; charset=UTF-8")


async def send_head(
    send: Send, status: int, headers: Mapping[str, str], progress: Iterable[Progress], length: int | None = None
) -> None:
    """Begin an answer. The progress until then goes with it: a head cannot leave in parts."""
    lines = [(name.lower().encode("latin-1"), value.encode("latin-1")) for name, value in headers.items()]
    lines += [(b"x-clickhouse-progress", json.dumps(_progress(each)).encode()) for each in progress]
    if length is not None:
        lines.append((b"content-length", str(length).encode()))
    await send({"type": "http.response.start", "status": status, "headers": lines})


def exception_tag() -> str:
    """What no result contains by chance, to find an error by in the middle of one."""
    return "".join(secrets.choice(string.ascii_lowercase) for _ in range(16))


def exception_block(text: str, tag: str) -> bytes:
    """An error after the head has left, as ClickHouse puts it behind what was sent."""
    message = text.encode()[:_EXCEPTION_BYTES] + b"\n"
    mark = tag.encode()
    start, end = b"\r\n__exception__\r\n" + mark + b"\r\n", b" " + mark + b"\r\n__exception__\r\n"
    return start + message + str(len(message)).encode() + end


def summary(answer: Answer, size: int) -> dict[str, str]:
    """What a finished query took."""
    return _summary(answer.read_rows, answer.read_bytes, answer.result_rows, size, answer.elapsed_ns)


def summary_so_far(progress: Progress | None) -> dict[str, str]:
    """What a query took until its answer began."""
    seen = progress or Progress(0, 0, 0, 0, 0)
    return _summary(seen.read_rows, seen.read_bytes, 0, 0, seen.elapsed_ns)


def _progress(seen: Progress) -> dict[str, str]:
    return {
        "read_rows": str(seen.read_rows),
        "read_bytes": str(seen.read_bytes),
        "total_rows_to_read": str(seen.total_rows),
        "elapsed_ns": str(seen.elapsed_ns),
        "memory_usage": str(seen.memory_bytes),
    }


def _summary(read_rows: int, read_bytes: int, result_rows: int, result_bytes: int, elapsed_ns: int) -> dict[str, str]:
    return {
        "read_rows": str(read_rows),
        "read_bytes": str(read_bytes),
        "written_rows": "0",
        "written_bytes": "0",
        "total_rows_to_read": str(read_rows),
        "result_rows": str(result_rows),
        "result_bytes": str(result_bytes),
        "elapsed_ns": str(elapsed_ns),
    }
