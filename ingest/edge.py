"""What every request of one edge process shares."""

from __future__ import annotations

from dataclasses import dataclass

from ingest.clock import Clock
from ingest.privacy import PrivacyGuard
from ingest.producer import BatchingProducer
from ingest.registrations import RegistryLink
from ingest.rejections import Rejections
from ingest.settings import EdgeSettings
from ingest.standings import Standings
from ingest.tokens import TokenKeys
from ingest.topic_follower import TopicFollower


@dataclass(frozen=True, slots=True)
class Edge:
    """The parts of a running edge. ``name`` is unique to the process."""

    name: str
    settings: EdgeSettings
    clock: Clock
    keys: TokenKeys
    guard: PrivacyGuard
    standings: Standings
    producer: BatchingProducer
    registry: RegistryLink
    rejections: Rejections
    policies: TopicFollower
