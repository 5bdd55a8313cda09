"""From the server's name to addresses: by the system, from a list, or (``doh``) over HTTPS."""

from __future__ import annotations

import asyncio
import ipaddress
import socket
from collections.abc import Mapping, Sequence
from typing import Protocol

from viworks.errors import NameNotResolved, SettingsInvalid

MAX_ADDRESSES = 16


class Resolver(Protocol):
    """Finds the addresses of a name."""

    async def resolve(self, host: str) -> Sequence[str]:
        """Addresses in the order to try them. Raises NameNotResolved."""
        ...


class SystemResolver:
    """The system's own way, usually unencrypted DNS."""

    async def resolve(self, host: str) -> Sequence[str]:
        try:
            found = await asyncio.get_running_loop().getaddrinfo(host, None, type=socket.SOCK_STREAM)
        except (OSError, UnicodeError):
            raise NameNotResolved("the system finds no address of the server's name") from None
        return list(dict.fromkeys(str(address[0]) for *_, address in found))[:MAX_ADDRESSES]


class PinnedAddresses:
    """Addresses that were given for names; no other name resolves, and nothing is asked."""

    def __init__(self, addresses: Mapping[str, Sequence[str]]) -> None:
        """Raises SettingsInvalid where one is not an IP address."""
        self._addresses = {name.lower(): tuple(map(_checked, listed)) for name, listed in addresses.items()}

    async def resolve(self, host: str) -> Sequence[str]:
        addresses = self._addresses.get(host.lower(), ())
        if not addresses:
            raise NameNotResolved("no address was given for the server's name")
        return addresses


def is_address(host: str) -> bool:
    """Whether a host is an IP address already."""
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True


def _checked(address: str) -> str:
    if not is_address(address):
        raise SettingsInvalid("pinned addresses: each is an IPv4 or IPv6 address")
    return address
