-- What proves a row: the exact signed bytes of every registration, and of heartbeats where the edge keeps them.
ALTER TABLE viworks.heartbeats
    ADD COLUMN IF NOT EXISTS signed_bytes Nullable(String) CODEC(ZSTD(1)) COMMENT 'The exact bytes that were signed, where VIWORKS_KEEP_HEARTBEAT_PROOF is set; an envelope where signed_bytes_sealed',
    ADD COLUMN IF NOT EXISTS signed_bytes_sealed Bool DEFAULT false COMMENT 'Whether signed_bytes is an envelope';

-- clients has the newest registration only, and Kafka keeps the others for 7 days. They are kept as the audit is: whoever
-- asks later why a key was accepted finds here what its holder signed. Requests that were refused stand here too.
CREATE TABLE IF NOT EXISTS viworks.registrations
(
    _topic LowCardinality(String) CODEC(ZSTD(1)) COMMENT 'Kafka topic that the row came from',
    _partition Int32 CODEC(Delta, ZSTD(1)) COMMENT 'Its partition',
    _offset Int64 CODEC(Delta, ZSTD(1)) COMMENT 'Its offset: the order of the requests of a client',
    request_id String CODEC(ZSTD(1)) COMMENT 'Of the request; clients, client_keys and the audit name it',
    client_id String CODEC(ZSTD(1)) COMMENT 'Who registered',
    public_key String CODEC(NONE) COMMENT 'Ed25519, 32 bytes',
    capabilities Array(LowCardinality(String)) CODEC(ZSTD(1)) COMMENT 'As the client says',
    version LowCardinality(String) COMMENT 'Of the client''s software',
    node_id LowCardinality(Nullable(String)) COMMENT 'Node that the client belongs to',
    device_info String CODEC(ZSTD(1)) COMMENT 'Envelope that only the SOC can open',
    timestamp DateTime64(3, 'UTC') CODEC(DoubleDelta, ZSTD(1)) COMMENT 'When it was sent, by the client''s clock',
    key_id LowCardinality(String) COMMENT 'The first 16 hex digits of the key''s SHA-256',
    signature String CODEC(NONE) COMMENT 'Ed25519, 64 bytes',
    signed_bytes String CODEC(ZSTD(1)) COMMENT 'The exact bytes that were signed; an envelope where signed_bytes_sealed',
    signed_bytes_sealed Bool COMMENT 'Whether signed_bytes is an envelope',
    received_at DateTime64(3, 'UTC') CODEC(DoubleDelta, ZSTD(1)) COMMENT 'When the edge accepted it; retention counts from here',
    edge LowCardinality(String) COMMENT 'Edge process that accepted it',
    enrolment LowCardinality(String) DEFAULT 'open' COMMENT 'By what an unknown client may enrol: open, certificate, approve, token:<id>; empty: not at all',
    labels Array(LowCardinality(String)) CODEC(ZSTD(1)) COMMENT 'Of the enrolment token',
    csr Nullable(String) CODEC(ZSTD(1)) COMMENT 'PEM: the client asks for a TLS certificate',
    _first UInt64 MATERIALIZED bitNot(toUInt64(_offset)) CODEC(Delta, ZSTD(1)) COMMENT 'Makes the first of equal rows stay',
    CONSTRAINT wire_is_aligned CHECK _topic = 'viworks.registrations.v1'
)
ENGINE = ReplacingMergeTree(_first)
PARTITION BY toYYYYMM(received_at)
ORDER BY (client_id, timestamp, request_id)
TTL toDateTime(received_at) + INTERVAL 1 YEAR
SETTINGS ttl_only_drop_parts = 1, non_replicated_deduplication_window = 10000
COMMENT 'Requests of registration of the last year, also those that were refused';
