"""Serial numbers of certificates that no longer count, from the authority's list and from the registry."""

from __future__ import annotations

from collections.abc import Iterable


class RevokedSerials:
    """One set that two sources feed. Serial numbers of our authorities are random (RFC 5280, 4.1.2.2) and never reused."""

    def __init__(self) -> None:
        self._listed: frozenset[int] = frozenset()
        self._added: set[int] = set()

    def contains(self, serial: int) -> bool:
        """Whether the certificate of this serial number is revoked."""
        return serial in self._listed or serial in self._added

    def from_list(self, serials: frozenset[int]) -> None:
        """Replace what earlier revocation lists said. What ``add`` brought stays."""
        self._listed = serials

    def add(self, serials: Iterable[int]) -> None:
        """Revoke more, before a list names them."""
        self._added.update(serials)
