"""The sinks' settings, each a ``VIWORKS_*`` environment variable."""

from __future__ import annotations

from pathlib import Path

from pydantic import Field, field_validator
from pydantic_settings import BaseSettings, SettingsConfigDict


class SinkSettings(BaseSettings):
    """What a sink process needs to know. Durations and sizes carry their unit in the name.

    Attributes:
        kafka: ``host:port``, several by commas.
        clickhouse: a server's DSN; empty for the embedded engine under ``data_dir``.
        clickhouse_cluster: the cluster whose servers, replicas of each other, get the tables; empty for one server.
        storage_key_file: the keys of the encrypted disks, see ``sinks.storage_keys``. Without it only a server can be used.
        sql_token_file: the password of the SQL port. Without it the port is not opened.
        sql_tokens_file: further passwords, each with a name and a role; default: secrets/sql-tokens.json in ``data_dir``.
        audit_key_file: what signs the audit log's checkpoints, 32 bytes in base64. Without it none are made.
        audit_checkpoint_interval_s: how long an audit record may wait for the checkpoint that covers it.
        retention_interval_s: how often the sink looks for what has expired and drops it.
        retention_overdue_s: how long what should have been dropped may stay before an alert says so.
        sink_group: the consumer group; on a server several processes share it.
        sink_instance: the process's own name in the group: the same after a restart, another for each process.
            With it a restarted process has its partitions at once instead of after the session timeout; empty for none.
        sink_session_timeout_s: a process that is silent for so long loses its partitions; not less than the broker allows.
        sink_batch_rows: how many rows one insert has at most, of ``sink_batch_bytes``: as many where a sink lags.
        sink_linger_ms: how long a row may wait for more to join its batch.
        sink_buffer_bytes: how much of one table may wait in memory before its partitions are paused.
        sink_stall_s: how long Kafka may have records that the consumer does not bring before the process gives up.
        sink_metrics_port: where Prometheus finds the sink's metrics, on ``sink_metrics_host``; 0 for nowhere.
        sql_max_*: what one query through the SQL port may use. A request may ask for less, never for more.
        sql_max_queries: how many run at once; ``sql_max_queries_per_token`` of them for one token.
        sql_queue_wait_s: how long a query may wait for its turn.
        sql_max_answer_s: within what a client has to take its answer; within ``sql_stall_s`` each piece of it.
        sql_request_timeout_s: within what a request has to have arrived.
        sql_audit_wait_s: how long an answer may wait for its audit record.
    """

    model_config = SettingsConfigDict(env_prefix="VIWORKS_", extra="ignore", frozen=True)

    data_dir: Path = Path(".viworks")
    kafka: str = "127.0.0.1:9092"
    clickhouse: str = ""
    clickhouse_cluster: str = ""
    storage_key_file: Path | None = None
    audit_key_file: Path | None = None
    audit_checkpoint_interval_s: float = Field(default=60.0, gt=0)
    retention_interval_s: float = Field(default=600.0, gt=0)
    retention_overdue_s: float = Field(default=86_400.0, gt=0)

    sink_group: str = "viworks-sinks"
    sink_instance: str = ""
    sink_session_timeout_s: float = Field(default=10.0, gt=0)
    sink_batch_rows: int = Field(default=100_000, ge=1, le=500_000)
    sink_batch_bytes: int = Field(default=64 * 1024 * 1024, ge=1024)
    sink_linger_ms: int = Field(default=150, ge=0)
    sink_buffer_bytes: int = Field(default=128 * 1024 * 1024, ge=1024)
    sink_fetch_max_wait_ms: int = Field(default=100, ge=1)
    sink_commit_interval_s: float = Field(default=0.5, gt=0)
    sink_retry_max_s: float = Field(default=10.0, gt=0)
    sink_stall_s: float = Field(default=60.0, gt=0)
    sink_metrics_host: str = "127.0.0.1"
    sink_metrics_port: int = Field(default=0, ge=0, le=65535)

    sql_host: str = "127.0.0.1"
    sql_port: int = Field(default=8123, ge=1, le=65535)
    sql_token_file: Path | None = None
    sql_tokens_file: Path | None = None
    sql_max_queries: int = Field(default=4, ge=1)
    sql_max_execution_s: float = Field(default=60.0, gt=0)
    sql_max_result_rows: int = Field(default=1_000_000, ge=1)
    sql_max_result_bytes: int = Field(default=256 * 1024 * 1024, ge=1024)
    sql_max_memory_bytes: int = Field(default=1024 * 1024 * 1024, ge=1024)
    sql_max_queries_per_token: int = Field(default=3, ge=1)
    sql_queue_wait_s: float = Field(default=10.0, gt=0)
    sql_max_answer_s: float = Field(default=900.0, gt=0)
    sql_stall_s: float = Field(default=30.0, gt=0)
    sql_request_timeout_s: float = Field(default=30.0, gt=0)
    sql_audit_wait_s: float = Field(default=5.0, gt=0)
    sql_max_request_bytes: int = Field(default=1024 * 1024, ge=1024)

    @property
    def group_instance_id(self) -> str | None:
        """The embedded engine has one process, so it needs no name of its own to be told from others."""
        return self.sink_instance or (None if self.clickhouse else "embedded")

    @property
    def sql_tokens_path(self) -> Path:
        """The file of tokens, which need not be there."""
        return self.sql_tokens_file or self.data_dir / "secrets" / "sql-tokens.json"

    @field_validator("data_dir")
    @classmethod
    def _absolute(cls, value: Path) -> Path:
        return value.expanduser().absolute()

    @field_validator("clickhouse", mode="before")
    @classmethod
    def _none_means_embedded(cls, value: object) -> object:
        return value or ""
