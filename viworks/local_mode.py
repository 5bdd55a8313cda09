"""What a client remembers of its server: with it, it goes on by the last signed policies while the server is away.

Kept in the spool, encrypted; the policies are kept as the server signed them and verified again when they are loaded.
"""

from __future__ import annotations

import base64
from dataclasses import dataclass, field, replace
from typing import TypeVar

import msgspec
from msgspec import Struct

from schemas.messages import ClientConfig, PolicySet
from viworks import answers
from viworks.errors import AnswerNotTrusted, DataTampered
from viworks.findings import Book, Finding, FindingKind
from viworks.policy import PolicyState, with_policies
from viworks.spool import Spool

T = TypeVar("T")
TERMS, POLICIES, BOOK = "terms", "policies", "findings"


class Terms(Struct, frozen=True):
    """The configuration that the last registration named, and how new the newest document was."""

    config: ClientConfig
    expires_at: int
    version: int = 0
    config_interval_s: int = 0


class SignedPolicies(Struct, frozen=True):
    """A policy document as it came, base64, and its tag."""

    body: str
    etag: str


@dataclass(frozen=True, slots=True)
class Memory:
    """What was remembered, as far as it is genuine; ``findings`` says what was not."""

    terms: Terms | None = None
    policy: PolicyState = field(default_factory=PolicyState)
    book: Book = field(default_factory=Book)
    findings: tuple[Finding, ...] = ()


def load(spool: Spool) -> Memory:
    """What a spool remembers. Raises SpoolFailed."""
    findings: list[Finding] = [Finding(FindingKind.FILES_TAMPERED, text) for text in spool.taken_findings()]
    terms = _read(spool, TERMS, Terms, findings)
    kept = _read(spool, POLICIES, SignedPolicies, findings)
    policy = PolicyState()
    if terms is not None:
        policy = replace(policy, config_interval_s=terms.config_interval_s or terms.config.heartbeat_interval)
        policy = _verified(policy, terms, kept, findings)
        policy = replace(policy, version=max(policy.version, terms.version))
    return Memory(terms, policy, _read(spool, BOOK, Book, findings) or Book(), tuple(findings))


def terms_value(terms: Terms) -> dict[str, bytes]:
    """What ``Spool.remember`` is given to keep them."""
    return {TERMS: msgspec.json.encode(terms)}


def policies_value(body: bytes, etag: str) -> dict[str, bytes]:
    """The same of a policy document."""
    return {POLICIES: msgspec.json.encode(SignedPolicies(base64.b64encode(body).decode(), etag))}


def book_value(book: Book) -> dict[str, bytes]:
    """The same of what was reported."""
    return {BOOK: msgspec.json.encode(book)}


def _verified(policy: PolicyState, terms: Terms, kept: SignedPolicies | None, findings: list[Finding]) -> PolicyState:
    if kept is None:
        return policy
    try:
        document = answers.trusted(base64.b64decode(kept.body), terms.config.policy_key, PolicySet)
        return with_policies(policy, document, kept.etag)
    except (AnswerNotTrusted, ValueError):
        findings.append(Finding(FindingKind.POLICY_SIGNATURE, "the policies that were kept are not signed by the server"))
        return policy


def _read(spool: Spool, name: str, kind: type[T], findings: list[Finding]) -> T | None:
    try:
        content = spool.recall(name)
        return None if content is None else msgspec.json.decode(content, type=kind)
    except (DataTampered, msgspec.MsgspecError):
        findings.append(Finding(FindingKind.FILES_TAMPERED, f"what was remembered as {name} was changed"))
        return None
