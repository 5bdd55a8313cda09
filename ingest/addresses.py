"""Addresses of clients as limits see them."""

from __future__ import annotations

import ipaddress


def address_key(text: str) -> str:
    """What one client counts as: an IPv4 address, or an IPv6 network of 64 bits, within which it can have any address."""
    try:
        address = ipaddress.ip_address(text.partition("%")[0])
    except ValueError:
        return text
    if isinstance(address, ipaddress.IPv4Address):
        return str(address)
    if address.ipv4_mapped is not None:
        return str(address.ipv4_mapped)
    return str(ipaddress.IPv6Network((int(address) >> 64 << 64, 64)))
