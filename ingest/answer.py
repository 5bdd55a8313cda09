"""A success, as a handler gives it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any


@dataclass(frozen=True)
class Answer:
    """Status, JSON body and further headers."""

    status: int
    body: bytes
    headers: Mapping[bytes, bytes] = field(default_factory=dict)

    @cached_property
    def start(self) -> dict[str, Any]:
        """ASGI's start of the response; kept, since most answers are shared by all requests of a route."""
        return response_start(self.status, len(self.body), b"application/json", tuple(self.headers.items()))


def response_start(status: int, length: int, media_type: bytes, extra: tuple[tuple[bytes, bytes], ...]) -> dict[str, Any]:
    """ASGI's start of a response with a body of this length. A 304 has none."""
    headers = extra
    if status != 304:
        headers += ((b"content-type", media_type), (b"content-length", b"%d" % length))
    return {"type": "http.response.start", "status": status, "headers": headers}


SECRET: Mapping[bytes, bytes] = {b"cache-control": b"no-store"}
"""Headers of an answer that nobody may keep."""
