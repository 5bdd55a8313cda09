-- Real-time data: 24 hours. A replay has the same timestamp, so it falls into the same hour and collapses there; the edge
-- accepts a timestamp within 5 minutes of its clock, so an hour expires as a whole soon after its last row.
CREATE TABLE IF NOT EXISTS viworks.heartbeats
(
    _topic LowCardinality(String) CODEC(ZSTD(1)) COMMENT 'Kafka topic that the row came from',
    _partition Int32 CODEC(Delta, ZSTD(1)) COMMENT 'Its partition',
    _offset Int64 CODEC(Delta, ZSTD(1)) COMMENT 'Its offset: the order of acceptance within a client',
    client_id String CODEC(ZSTD(1)) COMMENT 'Who sent it',
    timestamp DateTime64(3, 'UTC') CODEC(DoubleDelta, ZSTD(1)) COMMENT 'When it was sent, by the client''s clock',
    status LowCardinality(String) COMMENT 'online, offline, error or maintenance, as the client says; see fleet_now for the server''s verdict',
    uptime Float64 CODEC(Gorilla, ZSTD(1)) COMMENT 'Seconds',
    memory_usage Float64 CODEC(Gorilla, ZSTD(1)) COMMENT 'Per cent',
    cpu_usage Float64 CODEC(Gorilla, ZSTD(1)) COMMENT 'Per cent',
    network_activity Float64 CODEC(Gorilla, ZSTD(1)) COMMENT 'A level of the client''s own scale',
    sealed Nullable(String) CODEC(ZSTD(1)) COMMENT 'Envelope that only the SOC can open',
    interval_ms Int32 CODEC(T64, ZSTD(1)) COMMENT 'Heartbeat interval in force, milliseconds; three missed mean offline',
    key_id LowCardinality(String) COMMENT 'Which of the client''s keys signed',
    signature String CODEC(NONE) COMMENT 'Ed25519, 64 bytes',
    received_at DateTime64(3, 'UTC') CODEC(DoubleDelta, ZSTD(1)) COMMENT 'When the edge accepted it; retention counts from here',
    edge LowCardinality(String) COMMENT 'Edge process that accepted it',
    _first UInt64 MATERIALIZED bitNot(toUInt64(_offset)) CODEC(Delta, ZSTD(1)) COMMENT 'Makes the first of equal rows stay',
    INDEX offsets _offset TYPE minmax GRANULARITY 1024,
    CONSTRAINT wire_is_aligned CHECK _topic = 'viworks.heartbeats.v1'
)
ENGINE = ReplacingMergeTree(_first)
PARTITION BY toStartOfHour(timestamp)
ORDER BY (client_id, timestamp)
TTL toDateTime(received_at) + INTERVAL 24 HOUR
SETTINGS ttl_only_drop_parts = 1, non_replicated_deduplication_window = 10000
COMMENT 'Heartbeats of the last 24 hours, one row per client and timestamp';

CREATE TABLE IF NOT EXISTS viworks.heartbeats_now
(
    client_id String COMMENT 'Who sent it',
    timestamp DateTime64(3, 'UTC') COMMENT 'When it was sent, by the client''s clock',
    status LowCardinality(String) COMMENT 'As the client says',
    uptime Float64 COMMENT 'Seconds',
    memory_usage Float64 COMMENT 'Per cent',
    cpu_usage Float64 COMMENT 'Per cent',
    network_activity Float64 COMMENT 'A level of the client''s own scale',
    interval_ms Int32 COMMENT 'Heartbeat interval in force, milliseconds',
    received_at DateTime64(3, 'UTC') COMMENT 'When the edge accepted it'
)
ENGINE = ReplacingMergeTree(timestamp)
ORDER BY client_id
TTL toDateTime(received_at) + INTERVAL 24 HOUR
SETTINGS non_replicated_deduplication_window = 10000
COMMENT 'The newest heartbeat of each client; read it through fleet_now';

CREATE MATERIALIZED VIEW IF NOT EXISTS viworks.heartbeats_now_feed TO viworks.heartbeats_now AS
SELECT client_id, timestamp, status, uptime, memory_usage, cpu_usage, network_activity, interval_ms, received_at
FROM viworks.heartbeats;

CREATE TABLE IF NOT EXISTS viworks.heartbeat_rollups
(
    client_id String CODEC(ZSTD(1)) COMMENT 'Whose heartbeats',
    minute DateTime('UTC') CODEC(DoubleDelta, ZSTD(1)) COMMENT 'Minute of the heartbeats'' timestamps',
    heartbeats SimpleAggregateFunction(sum, UInt64) CODEC(T64, ZSTD(1)) COMMENT 'How many',
    errors SimpleAggregateFunction(sum, UInt64) CODEC(T64, ZSTD(1)) COMMENT 'How many with status error',
    cpu_usage_sum SimpleAggregateFunction(sum, Float64) CODEC(ZSTD(1)) COMMENT 'Divide by heartbeats for the mean',
    cpu_usage_max SimpleAggregateFunction(max, Float64) CODEC(ZSTD(1)) COMMENT 'Per cent',
    memory_usage_sum SimpleAggregateFunction(sum, Float64) CODEC(ZSTD(1)) COMMENT 'Divide by heartbeats for the mean',
    memory_usage_max SimpleAggregateFunction(max, Float64) CODEC(ZSTD(1)) COMMENT 'Per cent',
    network_activity_sum SimpleAggregateFunction(sum, Float64) CODEC(ZSTD(1)) COMMENT 'Divide by heartbeats for the mean',
    network_activity_max SimpleAggregateFunction(max, Float64) CODEC(ZSTD(1)) COMMENT 'A level of the client''s own scale',
    _partition SimpleAggregateFunction(max, Int32) CODEC(ZSTD(1)) COMMENT 'Kafka partition of the heartbeats',
    _next SimpleAggregateFunction(max, Int64) CODEC(ZSTD(1)) COMMENT 'Offset after the last heartbeat that is counted in',
    cpu_usage Float64 ALIAS cpu_usage_sum / heartbeats COMMENT 'Mean of the minute, per cent',
    memory_usage Float64 ALIAS memory_usage_sum / heartbeats COMMENT 'Mean of the minute, per cent',
    network_activity Float64 ALIAS network_activity_sum / heartbeats COMMENT 'Mean of the minute'
)
ENGINE = AggregatingMergeTree
PARTITION BY toDate(minute)
ORDER BY (client_id, minute)
TTL minute + INTERVAL 90 DAY
SETTINGS ttl_only_drop_parts = 1, non_replicated_deduplication_window = 10000, storage_policy = 'encrypted'
COMMENT 'Heartbeats by client and minute, 90 days';

CREATE MATERIALIZED VIEW IF NOT EXISTS viworks.heartbeat_rollups_feed TO viworks.heartbeat_rollups AS
SELECT
    client_id,
    toStartOfMinute(timestamp) AS minute,
    count() AS heartbeats,
    countIf(status = 'error') AS errors,
    sum(cpu_usage) AS cpu_usage_sum,
    max(cpu_usage) AS cpu_usage_max,
    sum(memory_usage) AS memory_usage_sum,
    max(memory_usage) AS memory_usage_max,
    sum(network_activity) AS network_activity_sum,
    max(network_activity) AS network_activity_max,
    max(_partition) AS _partition,
    max(_offset) + 1 AS _next
FROM viworks.heartbeats
GROUP BY client_id, minute;
