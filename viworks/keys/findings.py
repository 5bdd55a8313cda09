"""What a client has to report about its own key files once it can speak."""

from __future__ import annotations

from enum import StrEnum
from typing import NamedTuple


class KeyFindingKind(StrEnum):
    """``EXPOSED``: others could read keys. ``PLAINTEXT``: a key lay unencrypted until now. ``REPLACED``: files that were
    refused gave way to a new key. ``ROLLED_BACK``: older files were taken by the user's leave. ``UNWITNESSED``: the record
    of the newest version is gone."""

    EXPOSED = "keys-exposed"
    PLAINTEXT = "keys-plaintext"
    REPLACED = "keys-replaced"
    ROLLED_BACK = "keys-rolled-back"
    UNWITNESSED = "keys-unwitnessed"


class KeyFinding(NamedTuple):
    """One thing that was found; the text names files, never a path or a secret."""

    kind: KeyFindingKind
    text: str
