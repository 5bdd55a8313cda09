"""One POST to a receiver, within its time: what the answer means, and no more of it read than that takes."""

from __future__ import annotations

import asyncio
import contextlib
import ssl
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

import httpx2

from processors.clock import Clock
from processors.delivery.errors import Gone, Refused, Unavailable
from processors.delivery.retry import retry_after_s

CONNECTIONS = 8
_EXCERPT_BYTES = 500
# A body up to this is read, so that the connection can be used again; with a longer one it is closed.
_DRAINED_BYTES = 64 * 1024
_TRY_AGAIN = (408, 425, 429)


class Answer(NamedTuple):
    """What a receiver said: ``status`` of HTTP, the beginning of the body for a person who tests it."""

    status: str
    excerpt: str = ""


class HttpPost:
    """Posts to one URL over kept-alive connections. No redirects, no proxies, no decompression."""

    def __init__(self, url: str, timeout_s: float, ca_file: Path | None, clock: Clock) -> None:
        self._url = url
        self._timeout_s = timeout_s
        self._clock = clock
        self._client = httpx2.AsyncClient(
            verify=ssl.create_default_context(cafile=ca_file) if ca_file else True,
            timeout=timeout_s,
            trust_env=False,
            follow_redirects=False,
            limits=httpx2.Limits(max_connections=CONNECTIONS, max_keepalive_connections=CONNECTIONS),
            headers={"User-Agent": "viworks-delivery", "Accept-Encoding": "identity", "Content-Type": "application/json"},
        )

    async def post(self, body: bytes, headers: Mapping[str, str]) -> Answer:
        """Return once the receiver took it (2xx). Raises Unavailable, Refused or Gone."""
        try:
            # A receiver that sends a byte now and then would outlive the client's own time-outs.
            async with asyncio.timeout(self._timeout_s):
                return await self._attempt(body, headers)
        except (httpx2.HTTPError, httpx2.InvalidURL, httpx2.StreamError, OSError) as error:
            raise Unavailable(type(error).__name__) from None

    async def close(self) -> None:
        """Release the connections."""
        await self._client.aclose()

    async def _attempt(self, body: bytes, headers: Mapping[str, str]) -> Answer:
        async with self._client.stream("POST", self._url, content=body, headers=dict(headers)) as response:
            self._judge(response.status_code, response.headers.get("retry-after"))
            excerpt = b""
            # The status has decided: what becomes of the body changes nothing.
            with contextlib.suppress(httpx2.HTTPError, httpx2.StreamError, TimeoutError):
                async with asyncio.timeout(self._timeout_s / 4):
                    excerpt = await _beginning(response)
            return Answer(str(response.status_code), excerpt.decode("utf-8", "replace"))

    def _judge(self, status: int, retry_after: str | None) -> None:
        if 200 <= status < 300:
            return
        reason = str(status)
        if status == 410:
            raise Gone(reason)
        if status in _TRY_AGAIN or status >= 500:
            raise Unavailable(reason, retry_after_s(retry_after, self._clock() / 1000))
        raise Refused(reason)


async def _beginning(response: httpx2.Response) -> bytes:
    excerpt, read = b"", 0
    async for part in response.aiter_raw():
        read += len(part)
        excerpt = (excerpt + part)[:_EXCERPT_BYTES]
        if read > _DRAINED_BYTES:
            break
    return excerpt
