CREATE TABLE IF NOT EXISTS viworks.liveness_transitions
(
    _topic LowCardinality(String) CODEC(ZSTD(1)) COMMENT 'Kafka topic that the row came from',
    _partition Int32 CODEC(Delta, ZSTD(1)) COMMENT 'Its partition',
    _offset Int64 CODEC(Delta, ZSTD(1)) COMMENT 'Its offset: the order of the verdicts on a client',
    client_id String CODEC(ZSTD(1)) COMMENT 'Whose liveness changed',
    state LowCardinality(String) COMMENT 'online, offline, maintenance or error',
    previous_state LowCardinality(Nullable(String)) COMMENT 'Null for the first known state',
    reason LowCardinality(String) COMMENT 'heartbeat, missed_heartbeats or reported (a heartbeat that says so)',
    timestamp DateTime64(3, 'UTC') CODEC(DoubleDelta, ZSTD(1)) COMMENT 'When the change holds from, on the liveness clock',
    last_heartbeat DateTime64(3, 'UTC') CODEC(DoubleDelta, ZSTD(1)) COMMENT 'When the edge accepted the newest heartbeat',
    interval_ms Int32 CODEC(T64, ZSTD(1)) COMMENT 'Heartbeat interval in force, milliseconds',
    deadline DateTime64(3, 'UTC') CODEC(DoubleDelta, ZSTD(1)) COMMENT 'last_heartbeat + 3 intervals + grace',
    watermark DateTime64(3, 'UTC') CODEC(DoubleDelta, ZSTD(1)) COMMENT 'How far the pipeline had proved to have seen',
    heartbeat_timestamp DateTime64(3, 'UTC') CODEC(DoubleDelta, ZSTD(1)) COMMENT 'Of the newest heartbeat, by the client''s clock',
    _first UInt64 MATERIALIZED bitNot(toUInt64(_offset)) CODEC(Delta, ZSTD(1)) COMMENT 'Makes the first of equal rows stay',
    CONSTRAINT wire_is_aligned CHECK _topic = 'viworks.liveness.v1'
)
ENGINE = ReplacingMergeTree(_first)
PARTITION BY toDate(timestamp)
ORDER BY (client_id, timestamp, state)
TTL toDateTime(timestamp) + INTERVAL 90 DAY
SETTINGS ttl_only_drop_parts = 1, non_replicated_deduplication_window = 10000, storage_policy = 'encrypted'
COMMENT 'Changes of liveness of the last 90 days, each with its evidence';
