"""How large a spool may grow."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Bounds:
    """The spool's limits.

    Attributes:
        records: waiting at once.
        bytes: of the waiting records, encrypted. The file takes about a tenth more, and its log about 1 MiB.
        aside: records that the server refused for good and that are kept for whoever looks for the reason.
    """

    records: int = 20_000
    bytes: int = 32 * 1024 * 1024
    aside: int = 100
