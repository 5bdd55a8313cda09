"""HTTP/1.1 to one server."""

from __future__ import annotations

import ssl
from collections.abc import Mapping

import httpx2

from viworks.errors import Unreachable
from viworks.transport.exchange import Response


class HttpTransport:
    """HTTP/1.1 over kept-alive connections; mutual TLS where an ``ssl.SSLContext`` with a certificate is given."""

    def __init__(self, base_url: str, *, tls: ssl.SSLContext | None = None, timeout_s: float = 15.0) -> None:
        verify: ssl.SSLContext | bool = tls if tls is not None else True
        self._client = httpx2.AsyncClient(base_url=base_url, verify=verify, timeout=timeout_s, trust_env=False)

    async def request(self, method: str, target: str, headers: Mapping[str, str], body: bytes | None) -> Response:
        try:
            answer = await self._client.request(method, target, headers=dict(headers), content=body)
        except httpx2.TransportError as error:
            raise Unreachable(f"no answer: {type(error).__name__}") from error
        return Response(answer.status_code, {k.lower(): v for k, v in answer.headers.items()}, answer.content)

    async def close(self) -> None:
        await self._client.aclose()
