"""Names resolved over HTTPS (RFC 8484), so that the network learns neither the server's name nor can it forge an address.

What it cannot find it does not look for elsewhere, unless it is given a ``fallback`` (RFC 8310 calls the two profiles strict
and opportunistic). A certificate of the name service that is refused is an error in both: it says who sits between.
"""

from __future__ import annotations

import asyncio
import base64
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal
from urllib.parse import urlsplit

from viworks.errors import CertificateRefused, NameNotResolved, NoSuchName, SettingsInvalid, Unreachable
from viworks.transport.dns_message import Addresses, RecordType, decode_answer, encode_query
from viworks.transport.exchange import Response
from viworks.transport.http import HttpTransport
from viworks.transport.resolution import PinnedAddresses, Resolver, is_address
from viworks.transport.tls import TlsSettings

MEDIA_TYPE = "application/dns-message"
_SHORTEST_S, _LONGEST_S = 30, 3600
# RFC 8767: better an old address, which TLS checks anyway, than none while the name service is away.
_STALE_S = 24 * 3600
_MOST_NAMES = 16


@dataclass(frozen=True, slots=True)
class _Known:
    addresses: tuple[str, ...]
    until_s: float


class DohResolver:
    """Asks one name service.

    Args:
        url: such as ``https://dns.example/dns-query``.
        addresses: the name service's own, so that no other one is asked for it; not needed where the URL has an address.
        tls: whose certificate it must have, and its pins.
        method: POST hides the question from the logs of proxies; GET can be cached.
        fallback: asked when the name service does not answer, and not when it says that there is no such name.
        clock: seconds that never go back.

    Raises:
        SettingsInvalid.
    """

    def __init__(
        self,
        url: str,
        addresses: Sequence[str] = (),
        *,
        tls: TlsSettings | None = None,
        method: Literal["GET", "POST"] = "POST",
        fallback: Resolver | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        parts = urlsplit(url.removesuffix("{?dns}"))
        if parts.scheme != "https" or not parts.hostname or not (addresses or is_address(parts.hostname)):
            raise SettingsInvalid("the name service needs an https URL and, where that has a name, addresses")
        known = PinnedAddresses({parts.hostname: addresses})
        self._transport = HttpTransport(f"https://{parts.netloc}", tls=tls, resolver=known, timeout_s=5.0)
        self._path = parts.path or "/"
        self._method = method
        self._fallback = fallback
        self._clock = clock
        self._known: dict[str, _Known] = {}
        self._one_at_a_time = asyncio.Lock()

    async def resolve(self, host: str) -> Sequence[str]:
        """Addresses, from memory while their time lasts; IPv4 first, which an IPv6-only network refuses at once.

        Raises:
            NoSuchName, NameNotResolved.
            CertificateRefused: of the name service.
        """
        async with self._one_at_a_time:
            known = self._known.get(host)
            if known is not None and self._clock() < known.until_s:
                return known.addresses
            try:
                return await self._asked(host)
            except (NoSuchName, CertificateRefused):
                raise
            except Unreachable as error:
                return await self._otherwise(host, known, error)

    async def close(self) -> None:
        """Release the connections."""
        await self._transport.close()

    async def _asked(self, host: str) -> Sequence[str]:
        answers = await asyncio.gather(*(self._answer(host, kind) for kind in RecordType), return_exceptions=True)
        found = [answer for answer in answers if isinstance(answer, Addresses)]
        addresses = tuple(address for answer in found for address in answer.found)
        for error in answers:
            if isinstance(error, BaseException) and not (addresses and isinstance(error, NameNotResolved)):
                raise error
        if not addresses:
            raise NoSuchName("the server's name has no address")
        ttl_s = min(answer.ttl_s for answer in found if answer.found)
        if len(self._known) >= _MOST_NAMES:
            self._known.clear()
        self._known[host] = _Known(addresses, self._clock() + max(_SHORTEST_S, min(ttl_s, _LONGEST_S)))
        return addresses

    async def _answer(self, host: str, kind: RecordType) -> Addresses:
        response = await self._sent(encode_query(host, kind))
        if response.status != 200 or response.headers.get("content-type", "").partition(";")[0].strip() != MEDIA_TYPE:
            raise NameNotResolved(f"the name service answers with status {response.status}, not with a DNS message")
        return decode_answer(response.body, host, kind)

    async def _sent(self, query: bytes) -> Response:
        accept: Mapping[str, str] = {"Accept": MEDIA_TYPE}
        if self._method == "POST":
            return await self._transport.request("POST", self._path, {**accept, "Content-Type": MEDIA_TYPE}, query)
        text = base64.urlsafe_b64encode(query).rstrip(b"=").decode()
        return await self._transport.request("GET", f"{self._path}?dns={text}", accept, None)

    async def _otherwise(self, host: str, known: _Known | None, error: Unreachable) -> Sequence[str]:
        if known is not None and self._clock() < known.until_s + _STALE_S:
            return known.addresses
        if self._fallback is not None:
            return await self._fallback.resolve(host)
        raise NameNotResolved(f"the name service does not help: {error}") from error
