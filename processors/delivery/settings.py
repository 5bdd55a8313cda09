"""The settings of the delivery, each a ``VIWORKS_*`` environment variable."""

from __future__ import annotations

from pathlib import Path

from pydantic import Field
from pydantic_settings import BaseSettings, SettingsConfigDict


class DeliverySettings(BaseSettings):
    """Durations carry their unit in the name.

    Attributes:
        kafka: ``host:port``, several by commas.
        receivers: the receivers file, see ``receivers_file``.
        delivery_metrics_port: where Prometheus finds the metrics; none without it.
        delivery_window: how many alerts of one receiver may be under way or wait for another attempt.
        delivery_concurrency: how many attempts at one receiver may be made at once.
        delivery_reload_s: how often the receivers file is looked at.
        delivery_resend_s: how often Alertmanager is told again what fires; it forgets after five minutes.
        delivery_history_s: how far back the topic is read for alerts that still fire.
        delivery_commit_interval_s: how long what is delivered may stay uncommitted; a process that is killed repeats it.
        delivery_stall_s: a consumer that brings nothing for so long while there is something is replaced.
    """

    model_config = SettingsConfigDict(env_prefix="VIWORKS_", extra="ignore", frozen=True)

    kafka: str = "127.0.0.1:9092"
    receivers: Path
    metrics_host: str = "127.0.0.1"
    delivery_metrics_port: int | None = Field(default=None, ge=1, le=65535)
    delivery_window: int = Field(default=500, ge=1, le=100_000)
    delivery_concurrency: int = Field(default=8, ge=1, le=256)
    delivery_reload_s: float = Field(default=5.0, gt=0)
    delivery_resend_s: float = Field(default=60.0, gt=0, le=240.0)
    delivery_history_s: float = Field(default=7 * 86_400.0, ge=0)
    delivery_commit_interval_s: float = Field(default=0.25, gt=0)
    delivery_stall_s: float = Field(default=30.0, gt=0)
    produce_timeout_s: float = Field(default=15.0, gt=0)
