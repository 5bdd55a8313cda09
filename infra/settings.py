"""The supervisor's settings, each a ``VIWORKS_*`` environment variable. Every part has settings of its own."""

from __future__ import annotations

from pathlib import Path

from pydantic import Field, ValidationError, field_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from infra.errors import SettingsInvalid

_PREFIX = "VIWORKS_"


class InfraSettings(BaseSettings):
    """What the supervisor needs to know. Durations carry their unit in the name; ``None`` means the embedded one."""

    model_config = SettingsConfigDict(env_prefix=_PREFIX, extra="ignore", frozen=True)

    data_dir: Path = Path(".viworks")
    edge_port: int = Field(default=8080, ge=1, le=65535)
    edge_tls_port: int = Field(default=8443, ge=1, le=65535)
    sql_port: int = Field(default=8123, ge=1, le=65535)
    console_port: int = Field(default=8090, ge=1, le=65535)
    kafka_port: int = Field(default=9092, ge=1, le=65535)
    metrics_port: int = Field(default=9464, ge=1, le=65535)

    kafka: str | None = None
    replication_factor: int = Field(default=3, ge=1)
    """Of topics on an external broker; the embedded one is alone."""
    clickhouse: str | None = None
    receivers: Path | None = None
    """Who gets alerts; without this file nobody does, and they stay on their topic."""
    heartbeat_interval_s: int = Field(default=30, ge=1, le=300)
    demo: int = Field(default=0, ge=0)

    edge_hostnames: str = ""
    """Further names and addresses of the edge for its TLS certificate, by commas."""
    kafka_heap_mb: int = Field(default=512, ge=128)
    start_timeout_s: float = Field(default=60.0, gt=0)
    stop_timeout_s: float = Field(default=15.0, gt=0)

    @field_validator("kafka", "clickhouse", "receivers", mode="before")
    @classmethod
    def _empty_means_embedded(cls, value: object) -> object:
        return value or None

    @field_validator("data_dir")
    @classmethod
    def _absolute(cls, value: Path) -> Path:
        return value.expanduser().absolute()

    @classmethod
    def load(cls, **options: object) -> InfraSettings:
        """Read the environment; options that are not None win over it.

        Raises:
            SettingsInvalid: naming each variable and what is wrong with it.
        """
        try:
            return cls(**{name: value for name, value in options.items() if value is not None})  # type: ignore[arg-type]
        except ValidationError as error:
            raise SettingsInvalid(explain(error)) from None


def explain(error: ValidationError) -> str:
    """One sentence on every variable that does not fit. Values are left out, since some are secret."""
    faults = [f"{_PREFIX}{'_'.join(str(at) for at in fault['loc']).upper()}: {fault['msg']}" for fault in error.errors()]
    return f"Settings do not fit: {'; '.join(faults)}."
