"""What every request of one edge process shares."""

from __future__ import annotations

from dataclasses import dataclass

from ingest.clock import Clock
from ingest.documents import Documents
from ingest.limits import Limits
from ingest.privacy import PrivacyGuard
from ingest.producer import BatchingProducer
from ingest.registrations import RegistryLink
from ingest.rejections import Rejections
from ingest.revoked_serials import RevokedSerials
from ingest.settings import EdgeSettings
from ingest.tokens import TokenKeys


@dataclass(frozen=True, slots=True)
class Edge:
    """The parts of a running edge. ``name`` is unique to the process."""

    name: str
    settings: EdgeSettings
    clock: Clock
    keys: TokenKeys
    guard: PrivacyGuard
    documents: Documents
    producer: BatchingProducer
    registry: RegistryLink
    rejections: Rejections
    limits: Limits
    revoked: RevokedSerials
