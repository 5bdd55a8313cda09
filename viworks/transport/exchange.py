"""What a transport is: one request, one answer. Anything with ``request`` and ``close`` will do."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True, slots=True)
class Response:
    """An answer; header names in lower case."""

    status: int
    headers: Mapping[str, str]
    body: bytes


class Transport(Protocol):
    """One request, one answer."""

    async def request(self, method: str, target: str, headers: Mapping[str, str], body: bytes | None) -> Response:
        """Send a request for a path with its query. Raises Unreachable where no answer comes."""
        ...

    async def close(self) -> None:
        """Release connections."""
        ...
