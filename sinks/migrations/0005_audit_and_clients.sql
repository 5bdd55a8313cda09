CREATE TABLE IF NOT EXISTS viworks.audit
(
    _topic LowCardinality(String) CODEC(ZSTD(1)) COMMENT 'Kafka topic that the row came from',
    _partition Int32 CODEC(Delta, ZSTD(1)) COMMENT 'Its partition',
    _offset Int64 CODEC(Delta, ZSTD(1)) COMMENT 'Its offset: the order of the log',
    audit_id String CODEC(ZSTD(1)) COMMENT 'Identity of the record',
    timestamp DateTime64(3, 'UTC') CODEC(DoubleDelta, ZSTD(1)) COMMENT 'When it happened',
    actor LowCardinality(String) CODEC(ZSTD(1)) COMMENT 'Who did it',
    action LowCardinality(String) COMMENT 'What was done',
    subject String CODEC(ZSTD(1)) COMMENT 'To whom or what',
    outcome LowCardinality(String) COMMENT 'How it ended',
    details String CODEC(ZSTD(1)) COMMENT 'JSON',
    _first UInt64 MATERIALIZED bitNot(toUInt64(_offset)) CODEC(Delta, ZSTD(1)) COMMENT 'Makes the first of equal rows stay',
    CONSTRAINT wire_is_aligned CHECK _topic = 'viworks.audit.v1'
)
ENGINE = ReplacingMergeTree(_first)
PARTITION BY toDate(timestamp)
ORDER BY (timestamp, audit_id)
TTL toDateTime(timestamp) + INTERVAL 1 YEAR
SETTINGS ttl_only_drop_parts = 1, non_replicated_deduplication_window = 10000
COMMENT 'What must be answered for, 1 year';

CREATE TABLE IF NOT EXISTS viworks.clients
(
    _topic LowCardinality(String) CODEC(ZSTD(1)) COMMENT 'Kafka topic that the row came from',
    _partition Int32 CODEC(Delta, ZSTD(1)) COMMENT 'Its partition',
    _offset Int64 CODEC(Delta, ZSTD(1)) COMMENT 'Its offset: the newest row of a client stays',
    client_id String CODEC(ZSTD(1)) COMMENT 'The client',
    public_key String CODEC(NONE) COMMENT 'Ed25519, 32 bytes',
    key_id LowCardinality(String) COMMENT 'The first 16 hex digits of the key''s SHA-256',
    key_epoch Int32 CODEC(T64, ZSTD(1)) COMMENT 'Rises with every change of the key or of the client''s standing',
    capabilities Array(LowCardinality(String)) CODEC(ZSTD(1)) COMMENT 'As the client says',
    version LowCardinality(String) COMMENT 'Of the client''s software',
    node_id LowCardinality(Nullable(String)) COMMENT 'Node that the client belongs to',
    device_info String CODEC(ZSTD(1)) COMMENT 'Envelope that only the SOC can open',
    registered_at DateTime64(3, 'UTC') CODEC(ZSTD(1)) COMMENT 'First registration',
    timestamp DateTime64(3, 'UTC') CODEC(ZSTD(1)) COMMENT 'Of the newest registration, by the client''s clock',
    request_id String CODEC(ZSTD(1)) COMMENT 'Of the newest registration',
    signature String CODEC(NONE) COMMENT 'Of the newest registration',
    signed_bytes String CODEC(ZSTD(1)) COMMENT 'The exact bytes that were signed; an envelope where signed_bytes_sealed',
    signed_bytes_sealed Bool COMMENT 'Whether signed_bytes is an envelope',
    received_at DateTime64(3, 'UTC') CODEC(ZSTD(1)) COMMENT 'When the edge accepted the newest registration',
    edge LowCardinality(String) COMMENT 'Edge process that accepted it',
    CONSTRAINT wire_is_aligned CHECK _topic = 'viworks.clients.v1'
)
ENGINE = ReplacingMergeTree(_offset)
ORDER BY client_id
SETTINGS non_replicated_deduplication_window = 10000
COMMENT 'The clients as the registry knows them now, one row each';
