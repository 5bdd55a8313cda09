"""What a client found out about its own safety, as security events: which kind, how grave, and not again and again. Pure."""

from __future__ import annotations

import hashlib
from enum import StrEnum
from typing import NamedTuple

import msgspec
from msgspec import Struct

from viworks.keys import KeyFindingKind

REPEAT_MS = 3_600_000
MOST_OF_A_KIND = 5


class FindingKind(StrEnum):
    """What was found; the value is the event's ``error_code``."""

    PIN_MISMATCH = "pin-mismatch"
    CERTIFICATE_REFUSED = "server-certificate-refused"
    CERTIFICATE_REQUIRED = "client-certificate-required"
    POLICY_SIGNATURE = "policy-signature-wrong"
    POLICY_ROLLBACK = "policy-rollback"
    POLICY_KEY_CHANGED = "policy-key-changed"
    CLOCK_JUMP = "clock-jump"
    CLOCK_SKEW = "clock-skew"
    FILES_TAMPERED = "own-files-tampered"
    LOSSES = "messages-lost"
    KEYS_EXPOSED = KeyFindingKind.EXPOSED.value
    KEYS_PLAINTEXT = KeyFindingKind.PLAINTEXT.value
    KEYS_REPLACED = KeyFindingKind.REPLACED.value
    KEYS_ROLLED_BACK = KeyFindingKind.ROLLED_BACK.value
    KEYS_UNWITNESSED = KeyFindingKind.UNWITNESSED.value


_EVENTS = {
    FindingKind.PIN_MISMATCH: ("certificate_error", "critical"),
    FindingKind.CERTIFICATE_REFUSED: ("certificate_error", "high"),
    FindingKind.CERTIFICATE_REQUIRED: ("certificate_error", "medium"),
    FindingKind.POLICY_SIGNATURE: ("suspicious_activity", "high"),
    FindingKind.POLICY_ROLLBACK: ("suspicious_activity", "high"),
    FindingKind.POLICY_KEY_CHANGED: ("suspicious_activity", "medium"),
    FindingKind.CLOCK_JUMP: ("suspicious_activity", "medium"),
    FindingKind.CLOCK_SKEW: ("system_error", "low"),
    FindingKind.FILES_TAMPERED: ("suspicious_activity", "critical"),
    FindingKind.LOSSES: ("system_error", "medium"),
    FindingKind.KEYS_EXPOSED: ("suspicious_activity", "high"),
    FindingKind.KEYS_PLAINTEXT: ("policy_violation", "low"),
    FindingKind.KEYS_REPLACED: ("suspicious_activity", "high"),
    FindingKind.KEYS_ROLLED_BACK: ("suspicious_activity", "medium"),
    FindingKind.KEYS_UNWITNESSED: ("suspicious_activity", "medium"),
}
"""The event's type and severity."""


class Finding(NamedTuple):
    """One thing that was found. The text goes out sealed; it names no secret, path or address."""

    kind: FindingKind
    text: str

    @property
    def event_type(self) -> str:
        return _EVENTS[self.kind][0]

    @property
    def severity(self) -> str:
        return _EVENTS[self.kind][1]


class Book(Struct, frozen=True):
    """What was reported of late, by kind: digests of texts with when (milliseconds); and how much was held back."""

    reported: dict[str, dict[str, int]] = msgspec.field(default_factory=dict)
    held_back: dict[str, int] = msgspec.field(default_factory=dict)


def entered(book: Book, finding: Finding, now_ms: int) -> tuple[Book, str | None]:
    """The new book, and the text to report, or None: the same was reported within the hour, or too much of its kind.

    What was held back is named in the next report of its kind.
    """
    kind, digest = finding.kind.value, hashlib.sha256(finding.text.encode()).hexdigest()[:16]
    recent = {text: when for text, when in book.reported.get(kind, {}).items() if 0 <= now_ms - when < REPEAT_MS}
    if digest in recent or len(recent) >= MOST_OF_A_KIND:
        held_back = {**book.held_back, kind: book.held_back.get(kind, 0) + 1}
        return Book({**book.reported, kind: recent}, held_back), None
    before = book.held_back.get(kind, 0)
    text = f"{finding.text} ({before} more like it before)" if before else finding.text
    held_back = {name: count for name, count in book.held_back.items() if name != kind}
    return Book({**book.reported, kind: {**recent, digest: now_ms}}, held_back), text
