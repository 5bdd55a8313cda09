"""The processors' settings, each a ``VIWORKS_*`` environment variable."""

from __future__ import annotations

from pathlib import Path

from pydantic import Field
from pydantic_settings import BaseSettings, SettingsConfigDict


class ProcessorSettings(BaseSettings):
    """What a worker needs to know. Durations carry their unit in the name.

    Attributes:
        kafka: ``host:port``, several by commas.
        processor_app_id: the consumer group; workers of one group share the partitions.
        liveness_grace_ms: what a heartbeat may be late beyond three intervals.
        liveness_gap_ms: a step of the watermark beyond this is a blind span.
        edge_silence_ms: an edge whose ticks stay this far behind the others' is taken as gone. Edges' clocks must
            agree to within it.
        never_came_after_ms: how long after its registration a client may take for its first heartbeat.
        last_seen_every_ms: how often it is written down when a client was last heard; after a restart it may be so old.
        rules: the file of the rules (docs/rules.md); none for those that are shipped.
        rules_reload_s: how often is looked whether it has changed.
        blind_after_ms: how long the clock of the rules may stand still until an outage is told of.
        fetch_max_wait_ms: how long the broker may hold an empty fetch; records of other partitions may have to wait for it.
        session_timeout_s: how long a worker that crashed holds its partitions.
        produce_timeout_s: how long a write may wait for its acknowledgement before the worker gives up and starts anew.
        ca_cert_file, ca_key_file: the authority that signs clients' certificates; ``crl_file`` its revocation list.
        ca_command: a program that asks another authority in its place, see ``processors.issuer``.
        ca_timeout_s: how long that program may take; less than an edge waits for a verdict.
        stall_after_s: a worker that commits nothing for so long while there are records to read is ended, see
            ``processors.watchdog``.
        recovery_timeout_s: how long joining the group and reading the tables may take.
    """

    model_config = SettingsConfigDict(env_prefix="VIWORKS_", extra="ignore", frozen=True)

    kafka: str = "127.0.0.1:9092"
    data_dir: Path = Path(".viworks")
    replication_factor: int = Field(default=1, ge=1)
    processor_app_id: str = "viworks-processors"

    liveness_grace_ms: int = Field(default=2_000, ge=0)
    liveness_gap_ms: int = Field(default=5_000, ge=100)
    edge_silence_ms: int = Field(default=10_000, ge=100)
    never_came_after_ms: int = Field(default=900_000, ge=1_000)
    last_seen_every_ms: int = Field(default=3_600_000, ge=1_000)

    rules: Path | None = None
    rules_reload_s: float = Field(default=2.0, gt=0)
    blind_after_ms: int = Field(default=15_000, ge=1_000)

    fetch_max_wait_ms: int = Field(default=50, ge=1)
    session_timeout_s: float = Field(default=10.0, ge=6.0, le=60.0)
    commit_interval_s: float = Field(default=1.0, gt=0)
    produce_timeout_s: float = Field(default=15.0, gt=0)
    stall_after_s: float = Field(default=60.0, ge=1.0)
    recovery_timeout_s: float = Field(default=60.0, gt=0)

    ca_cert_file: Path | None = None
    ca_key_file: Path | None = None
    crl_file: Path | None = None
    ca_command: str = ""
    ca_timeout_s: float = Field(default=4.0, gt=0)
    stop_timeout_s: float = Field(default=10.0, gt=0)
