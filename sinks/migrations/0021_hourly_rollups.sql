-- Heartbeats by client and hour, fed from the minutes: trends of weeks read a sixtieth of the rows.
CREATE TABLE IF NOT EXISTS viworks.heartbeat_rollups_hourly
(
    client_id String CODEC(ZSTD(1)) COMMENT 'Whose heartbeats',
    hour DateTime('UTC') CODEC(DoubleDelta, ZSTD(1)) COMMENT 'Hour of the heartbeats'' timestamps',
    heartbeats SimpleAggregateFunction(sum, UInt64) CODEC(T64, ZSTD(1)) COMMENT 'How many',
    errors SimpleAggregateFunction(sum, UInt64) CODEC(T64, ZSTD(1)) COMMENT 'How many with status error',
    cpu_usage_sum SimpleAggregateFunction(sum, Float64) CODEC(ZSTD(1)) COMMENT 'Divide by heartbeats for the mean',
    cpu_usage_max SimpleAggregateFunction(max, Float64) CODEC(ZSTD(1)) COMMENT 'Per cent',
    memory_usage_sum SimpleAggregateFunction(sum, Float64) CODEC(ZSTD(1)) COMMENT 'Divide by heartbeats for the mean',
    memory_usage_max SimpleAggregateFunction(max, Float64) CODEC(ZSTD(1)) COMMENT 'Per cent',
    network_activity_sum SimpleAggregateFunction(sum, Float64) CODEC(ZSTD(1)) COMMENT 'Divide by heartbeats for the mean',
    network_activity_max SimpleAggregateFunction(max, Float64) CODEC(ZSTD(1)) COMMENT 'A level of the client''s own scale',
    cpu_usage Float64 ALIAS cpu_usage_sum / heartbeats COMMENT 'Mean of the hour, per cent',
    memory_usage Float64 ALIAS memory_usage_sum / heartbeats COMMENT 'Mean of the hour, per cent',
    network_activity Float64 ALIAS network_activity_sum / heartbeats COMMENT 'Mean of the hour'
)
ENGINE = AggregatingMergeTree
PARTITION BY toDate(hour)
ORDER BY (client_id, hour)
TTL hour + INTERVAL 90 DAY
SETTINGS ttl_only_drop_parts = 1, non_replicated_deduplication_window = 10000, storage_policy = 'encrypted'
COMMENT 'Heartbeats by client and hour, 90 days';

CREATE MATERIALIZED VIEW IF NOT EXISTS viworks.heartbeat_rollups_hourly_feed TO viworks.heartbeat_rollups_hourly AS
SELECT
    client_id,
    toStartOfHour(minute) AS hour,
    sum(heartbeats) AS heartbeats,
    sum(errors) AS errors,
    sum(cpu_usage_sum) AS cpu_usage_sum,
    max(cpu_usage_max) AS cpu_usage_max,
    sum(memory_usage_sum) AS memory_usage_sum,
    max(memory_usage_max) AS memory_usage_max,
    sum(network_activity_sum) AS network_activity_sum,
    max(network_activity_max) AS network_activity_max
FROM viworks.heartbeat_rollups
GROUP BY client_id, hour;
