"""What the supervisor tells the parts: everything by environment variables, secrets only as paths of files."""

from __future__ import annotations

from infra.key_files import KeyFiles
from infra.pki import PkiFiles
from infra.settings import InfraSettings

_PASSED_ON = (
    "data_dir",
    "edge_port",
    "edge_tls_port",
    "sql_port",
    "console_port",
    "metrics_port",
    "heartbeat_interval_s",
    "demo",
)


def part_environment(settings: InfraSettings, bootstrap: str, keys: KeyFiles, pki: PkiFiles) -> dict[str, str]:
    """The variables of every part. An empty ``VIWORKS_CLICKHOUSE`` means the embedded engine."""
    passed_on = {f"VIWORKS_{name.upper()}": str(getattr(settings, name)) for name in _PASSED_ON}
    return {
        **passed_on,
        **keys.environment(),
        **pki.environment(),
        "VIWORKS_KAFKA": bootstrap,
        "VIWORKS_REPLICATION_FACTOR": str(settings.replication_factor if settings.kafka else 1),
        "VIWORKS_CLICKHOUSE": settings.clickhouse or "",
    }
