"""The edge's settings, each a ``VIWORKS_*`` environment variable."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from schemas.messages import MAX_BODY_BYTES
from schemas.privacy import PrivacyMode


class EnrolmentMode(StrEnum):
    """By what an unknown client may enrol.

    ``open``: by nothing but its key. ``token``: by an enrolment token. ``certificate``: by a TLS certificate of the
    configured authority that names it. ``approve``: by an administrator's approval. A token counts in every mode.
    """

    OPEN = "open"
    TOKEN = "token"  # noqa: S105 - a mode's name
    CERTIFICATE = "certificate"
    APPROVE = "approve"


def _listed(value: Any) -> Any:
    return tuple(filter(None, (name.strip() for name in value.split(",")))) if isinstance(value, str) else value


class EdgeSettings(BaseSettings):
    """What an edge process needs to know. Durations carry their unit in the name."""

    model_config = SettingsConfigDict(env_prefix="VIWORKS_", extra="ignore", frozen=True)

    kafka: str = "127.0.0.1:9092"
    data_dir: Path | None = None
    edge_host: str = "127.0.0.1"
    edge_port: int = 8080
    edge_tls_host: str = "0.0.0.0"  # noqa: S104 - this listener is mutual TLS and meant for the network
    edge_tls_port: int = 8443
    metrics_host: str = "127.0.0.1"
    metrics_port: int = 9464

    tls_cert_file: Path | None = None
    tls_key_file: Path | None = None
    tls_ca_file: Path | None = None
    tls_crl_file: Path | None = None
    tls_client_certificate: Literal["required", "optional"] = "required"
    tls_reload_interval_s: float = Field(default=1.0, gt=0)
    # DNS names or thumbprints, separated by commas.
    trusted_proxies: Annotated[tuple[str, ...], NoDecode, BeforeValidator(_listed)] = ()

    token_keys_file: Path
    policy_key_file: Path
    pseudonym_key_file: Path
    sealing_key_file: Path

    privacy_mode: PrivacyMode = PrivacyMode.SEAL
    pseudonym_period_s: int = Field(default=0, ge=0)
    keep_heartbeat_proof: bool = False
    """Keep the signed bytes of heartbeats too: about 0.5 KB more a row, and in ``seal`` mode one envelope more each."""
    heartbeat_interval_s: int = Field(default=30, ge=1, le=300)
    enrolment_mode: EnrolmentMode = EnrolmentMode.OPEN
    key_overlap_s: int = Field(default=86_400, ge=0)
    token_lifetime_s: int = Field(default=30 * 86_400, ge=60, le=366 * 86_400)
    tick_interval_s: float = Field(default=0.5, gt=0)
    rejection_interval_s: float = Field(default=1.0, gt=0)

    max_body_bytes: int = Field(default=MAX_BODY_BYTES, ge=1024)
    max_unacknowledged_bytes: int = Field(default=16 * 1024 * 1024, ge=1024)
    produce_timeout_s: float = Field(default=5.0, gt=0)
    produce_linger_s: float = Field(default=0.010, ge=0)
    verdict_timeout_s: float = Field(default=5.0, gt=0)
    keep_alive_s: int = 75

    # The front: see docs/decisions/0011-limits.md for what a healthy fleet needs.
    request_timeout_s: float = Field(default=10.0, gt=0)
    answer_timeout_s: float = Field(default=10.0, gt=0)
    max_connections: int = Field(default=65_536, ge=1)
    max_connections_per_address: int = Field(default=2048, ge=1)
    max_in_flight_bytes: int = Field(default=64 * 1024 * 1024, ge=1024 * 1024)
    client_rate_per_s: float = Field(default=20.0, gt=0)
    client_burst: int = Field(default=2000, ge=1)
    urgent_rate_per_s: float = Field(default=2.0, gt=0)
    urgent_burst: int = Field(default=200, ge=1)
    address_rate_per_s: float = Field(default=5000.0, gt=0)
    address_burst: int = Field(default=50_000, ge=1)
    registration_rate_per_s: float = Field(default=50.0, gt=0)
    registration_burst: int = Field(default=5000, ge=1)
