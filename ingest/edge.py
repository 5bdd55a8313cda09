"""What every request of one edge process shares."""

from __future__ import annotations

from dataclasses import dataclass

from ingest.authentication import Authenticator
from ingest.clock import Clock
from ingest.limits import Limits
from ingest.privacy import PrivacyGuard
from ingest.producer import BatchingProducer
from ingest.readiness import Checks
from ingest.registry_link import RegistryLink
from ingest.rejections import Rejections
from ingest.revoked_serials import RevokedSerials
from ingest.settings import EdgeSettings
from ingest.standings import Standings
from ingest.tamper_signals import TamperSignals
from ingest.tokens import TokenKeys


@dataclass(frozen=True, slots=True)
class Edge:
    """The parts of a running edge. ``name`` is unique to the process."""

    name: str
    settings: EdgeSettings
    clock: Clock
    keys: TokenKeys
    authenticator: Authenticator
    guard: PrivacyGuard
    standings: Standings
    producer: BatchingProducer
    registry: RegistryLink
    rejections: Rejections
    signals: TamperSignals
    limits: Limits
    revoked: RevokedSerials
    checks: Checks
