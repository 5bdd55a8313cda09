-- The day stands first in the keys: analysts ask for spans of time, and an id is sent again with the timestamp it had.
CREATE TABLE IF NOT EXISTS viworks.events
(
    _topic LowCardinality(String) CODEC(ZSTD(1)) COMMENT 'Kafka topic that the row came from',
    _partition Int32 CODEC(Delta, ZSTD(1)) COMMENT 'Its partition',
    _offset Int64 CODEC(Delta, ZSTD(1)) COMMENT 'Its offset: the order of acceptance within a client',
    client_id String CODEC(ZSTD(1)) COMMENT 'Who reported it',
    event_id String CODEC(ZSTD(1)) COMMENT 'With client_id the identity of the event: the first row under it stays',
    event_type LowCardinality(String) COMMENT 'authentication_failure, certificate_error, connection_attempt, policy_violation, suspicious_activity or system_error',
    severity LowCardinality(String) COMMENT 'info, low, medium, high or critical',
    timestamp DateTime64(3, 'UTC') CODEC(DoubleDelta, ZSTD(1)) COMMENT 'When it happened, by the client''s clock',
    description String CODEC(ZSTD(1)) COMMENT 'Envelope that only the SOC can open',
    source_ip LowCardinality(Nullable(String)) COMMENT 'The network only: /24 or /48',
    source_ip_pseudonym Nullable(String) CODEC(ZSTD(1)) COMMENT 'The same address has the same pseudonym: join on it',
    target_ip LowCardinality(Nullable(String)) COMMENT 'The network only: /24 or /48',
    target_ip_pseudonym Nullable(String) CODEC(ZSTD(1)) COMMENT 'The same address has the same pseudonym: join on it',
    user_agent LowCardinality(Nullable(String)) COMMENT 'As the client says',
    error_code LowCardinality(Nullable(String)) COMMENT 'As the client says',
    key_id LowCardinality(String) COMMENT 'Which of the client''s keys signed',
    signature String CODEC(NONE) COMMENT 'Ed25519, 64 bytes',
    signed_bytes String CODEC(ZSTD(1)) COMMENT 'The exact bytes that were signed; an envelope where signed_bytes_sealed',
    signed_bytes_sealed Bool COMMENT 'Whether signed_bytes is an envelope',
    received_at DateTime64(3, 'UTC') CODEC(DoubleDelta, ZSTD(1)) COMMENT 'When the edge accepted it; retention counts from here',
    edge LowCardinality(String) COMMENT 'Edge process that accepted it',
    _first UInt64 MATERIALIZED bitNot(toUInt64(_offset)) CODEC(Delta, ZSTD(1)) COMMENT 'Makes the first of equal rows stay',
    CONSTRAINT wire_is_aligned CHECK _topic = 'viworks.events.v1'
)
ENGINE = ReplacingMergeTree(_first)
PARTITION BY toYYYYMM(timestamp)
ORDER BY (toDate(timestamp), client_id, event_id)
TTL toDateTime(received_at) + INTERVAL 2 YEAR
SETTINGS ttl_only_drop_parts = 1, non_replicated_deduplication_window = 10000
COMMENT 'Security events of the last 2 years, one row per client_id and event_id';

CREATE TABLE IF NOT EXISTS viworks.alerts
(
    _topic LowCardinality(String) CODEC(ZSTD(1)) COMMENT 'Kafka topic that the row came from',
    _partition Int32 CODEC(Delta, ZSTD(1)) COMMENT 'Its partition',
    _offset Int64 CODEC(Delta, ZSTD(1)) COMMENT 'Its offset',
    alert_id String CODEC(ZSTD(1)) COMMENT 'The alert; firing and resolved share it',
    rule LowCardinality(String) COMMENT 'What fired: offline, brute_force, ...',
    severity LowCardinality(String) COMMENT 'info, low, medium, high or critical',
    status LowCardinality(String) COMMENT 'firing or resolved',
    client_id String CODEC(ZSTD(1)) COMMENT 'Whom it is about; empty for the whole fleet',
    timestamp DateTime64(3, 'UTC') CODEC(DoubleDelta, ZSTD(1)) COMMENT 'Of what led to this status',
    summary String CODEC(ZSTD(1)) COMMENT 'One sentence',
    evidence String CODEC(ZSTD(1)) COMMENT 'JSON: the rows, deadlines and watermarks that led to it',
    emitted_at DateTime64(3, 'UTC') CODEC(DoubleDelta, ZSTD(1)) COMMENT 'When the processor wrote it',
    _first UInt64 MATERIALIZED bitNot(toUInt64(_offset)) CODEC(Delta, ZSTD(1)) COMMENT 'Makes the first of equal rows stay',
    CONSTRAINT wire_is_aligned CHECK _topic = 'viworks.alerts.v1'
)
ENGINE = ReplacingMergeTree(_first)
PARTITION BY toYYYYMM(timestamp)
ORDER BY (toDate(timestamp), client_id, alert_id, status)
TTL toDateTime(timestamp) + INTERVAL 2 YEAR
SETTINGS ttl_only_drop_parts = 1, non_replicated_deduplication_window = 10000
COMMENT 'Alerts of the last 2 years, one row per alert_id and status; see alert_timeline for one row per alert';

CREATE TABLE IF NOT EXISTS viworks.rejections
(
    _topic LowCardinality(String) CODEC(ZSTD(1)) COMMENT 'Kafka topic that the row came from',
    _partition Int32 CODEC(Delta, ZSTD(1)) COMMENT 'Its partition',
    _offset Int64 CODEC(Delta, ZSTD(1)) COMMENT 'Its offset',
    rejection_id String CODEC(ZSTD(1)) COMMENT 'Identity of the row',
    client_id String CODEC(ZSTD(1)) COMMENT 'The token''s client; the claimed one where not authenticated; may be empty',
    authenticated Bool COMMENT 'Whether client_id comes from an accepted token',
    endpoint LowCardinality(String) COMMENT 'What was called',
    reason LowCardinality(String) COMMENT 'The problem''s type',
    status Int32 CODEC(T64, ZSTD(1)) COMMENT 'HTTP status',
    count Int64 CODEC(T64, ZSTD(1)) COMMENT 'How many requests the row stands for: sum it, never count rows',
    first_at DateTime64(3, 'UTC') CODEC(DoubleDelta, ZSTD(1)) COMMENT 'Of the first one',
    timestamp DateTime64(3, 'UTC') CODEC(DoubleDelta, ZSTD(1)) COMMENT 'Of the last one',
    edge LowCardinality(String) COMMENT 'Edge process that refused them',
    _first UInt64 MATERIALIZED bitNot(toUInt64(_offset)) CODEC(Delta, ZSTD(1)) COMMENT 'Makes the first of equal rows stay',
    CONSTRAINT wire_is_aligned CHECK _topic = 'viworks.rejections.v1'
)
ENGINE = ReplacingMergeTree(_first)
PARTITION BY toYYYYMM(timestamp)
ORDER BY (toDate(timestamp), reason, rejection_id)
TTL toDateTime(timestamp) + INTERVAL 2 YEAR
SETTINGS ttl_only_drop_parts = 1, non_replicated_deduplication_window = 10000
COMMENT 'Requests that an edge refused in the last 2 years, counted by reason';
