-- One row per report: what a session was at each moment stays known. sessions_merged makes one row per session of them.
-- Ed25519 signatures are deterministic, so an exact replay has the signature of the first and collapses into it.
CREATE TABLE IF NOT EXISTS viworks.sessions
(
    _topic LowCardinality(String) CODEC(ZSTD(1)) COMMENT 'Kafka topic that the row came from',
    _partition Int32 CODEC(Delta, ZSTD(1)) COMMENT 'Its partition',
    _offset Int64 CODEC(Delta, ZSTD(1)) COMMENT 'Its offset: the order of acceptance within a client',
    client_id String CODEC(ZSTD(1)) COMMENT 'Who reported it',
    session_id String CODEC(ZSTD(1)) COMMENT 'The session; several reports share it',
    session_type LowCardinality(String) COMMENT 'vpn_connection, spa_signal or admin_access',
    start_time DateTime64(3, 'UTC') CODEC(DoubleDelta, ZSTD(1)) COMMENT 'By the client''s clock',
    end_time Nullable(DateTime64(3, 'UTC')) CODEC(ZSTD(1)) COMMENT 'By the client''s clock; null while it lasts',
    status LowCardinality(String) COMMENT 'active, disconnected, terminated or error',
    node_id LowCardinality(String) COMMENT 'Node that serves the session',
    client_ip LowCardinality(String) COMMENT 'The network only: /24 or /48',
    client_ip_pseudonym String CODEC(ZSTD(1)) COMMENT 'The same address has the same pseudonym: join on it',
    internal_ip Nullable(String) CODEC(ZSTD(1)) COMMENT 'Envelope that only the SOC can open',
    user_agent LowCardinality(String) CODEC(ZSTD(1)) COMMENT 'As the client says',
    protocol_version LowCardinality(String) COMMENT 'As the client says',
    key_id LowCardinality(String) COMMENT 'Which of the client''s keys signed',
    signature String CODEC(NONE) COMMENT 'Ed25519, 64 bytes',
    signed_bytes String CODEC(ZSTD(1)) COMMENT 'The exact bytes that were signed; an envelope where signed_bytes_sealed',
    signed_bytes_sealed Bool COMMENT 'Whether signed_bytes is an envelope',
    received_at DateTime64(3, 'UTC') CODEC(DoubleDelta, ZSTD(1)) COMMENT 'When the edge accepted it; retention counts from here',
    edge LowCardinality(String) COMMENT 'Edge process that accepted it',
    _first UInt64 MATERIALIZED bitNot(toUInt64(_offset)) CODEC(Delta, ZSTD(1)) COMMENT 'Makes the first of equal rows stay',
    INDEX starts start_time TYPE minmax GRANULARITY 1,
    CONSTRAINT wire_is_aligned CHECK _topic = 'viworks.sessions.v1'
)
ENGINE = ReplacingMergeTree(_first)
PARTITION BY toDate(received_at)
PRIMARY KEY (client_id, session_id)
ORDER BY (client_id, session_id, signature)
TTL toDateTime(received_at) + INTERVAL 90 DAY
SETTINGS ttl_only_drop_parts = 1, non_replicated_deduplication_window = 10000, storage_policy = 'encrypted'
COMMENT 'Session reports of the last 90 days; see sessions_merged for one row per session';
