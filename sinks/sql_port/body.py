"""The body of a request, bounded, also where it comes compressed."""

from __future__ import annotations

import zlib

from starlette.requests import ClientDisconnect, Request

from sinks.errors import QueryRefused
from sinks.sql_port.guard import NOT_IMPLEMENTED, refusal

_SYNTAX_ERROR = 62
_QUERY_IS_TOO_LARGE = 229
_CANNOT_DECOMPRESS = 271
# zlib's own sign for a header of gzip or zlib.
_EITHER_HEADER = zlib.MAX_WBITS | 32


async def read_body(request: Request, most_bytes: int) -> str:
    """The text of the body, at most so many bytes before and after decompression.

    Raises:
        QueryRefused: it is larger, is not UTF-8, or is compressed otherwise than by gzip or deflate.
    """
    encoding = request.headers.get("content-encoding", "").strip().lower()
    if encoding not in {"", "identity", "gzip", "deflate"}:
        raise refusal(NOT_IMPLEMENTED, "Requests are taken plain, or compressed by gzip or deflate. (NOT_IMPLEMENTED)")
    received = bytearray()
    try:
        async for chunk in request.stream():
            received += chunk
            if len(received) > most_bytes:
                raise _too_large()
    except ClientDisconnect:
        raise refusal(_SYNTAX_ERROR, "The request broke off. (SYNTAX_ERROR)") from None
    content = _inflated(bytes(received), most_bytes) if encoding in {"gzip", "deflate"} else bytes(received)
    try:
        return content.decode()
    except UnicodeDecodeError:
        raise refusal(_SYNTAX_ERROR, "The statement is not UTF-8. (SYNTAX_ERROR)") from None


def _inflated(content: bytes, most_bytes: int) -> bytes:
    inflater = zlib.decompressobj(_EITHER_HEADER)
    try:
        inflated = inflater.decompress(content, most_bytes + 1)
    except zlib.error:
        raise refusal(_CANNOT_DECOMPRESS, "The request cannot be decompressed. (CANNOT_DECOMPRESS)") from None
    if len(inflated) > most_bytes:
        raise _too_large()
    return inflated


def _too_large() -> QueryRefused:
    return refusal(_QUERY_IS_TOO_LARGE, "The request is too large. (QUERY_IS_TOO_LARGE)")
