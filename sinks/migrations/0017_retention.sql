-- The TTL of a table stands behind the sink's own job, which drops what has expired and writes down what it was: ClickHouse drops
-- only what the job has left for so long. What readers see ends at the policy's time, as before. Parts that are there keep the time
-- that they have, so that no start has to wait for them to be read.
ALTER TABLE viworks.heartbeats MODIFY TTL toDateTime(received_at) + INTERVAL 24 HOUR + INTERVAL 6 HOUR SETTINGS materialize_ttl_after_modify = 0;
ALTER TABLE viworks.heartbeats_now MODIFY TTL toDateTime(received_at) + INTERVAL 24 HOUR + INTERVAL 6 HOUR SETTINGS materialize_ttl_after_modify = 0;
ALTER TABLE viworks.heartbeat_rollups MODIFY TTL toDateTime(minute) + INTERVAL 90 DAY + INTERVAL 3 DAY SETTINGS materialize_ttl_after_modify = 0;
ALTER TABLE viworks.sessions MODIFY TTL toDateTime(received_at) + INTERVAL 90 DAY + INTERVAL 3 DAY SETTINGS materialize_ttl_after_modify = 0;
ALTER TABLE viworks.registrations MODIFY TTL toDateTime(received_at) + INTERVAL 1 YEAR + INTERVAL 3 DAY SETTINGS materialize_ttl_after_modify = 0;
ALTER TABLE viworks.liveness_transitions MODIFY TTL toDateTime(timestamp) + INTERVAL 90 DAY + INTERVAL 3 DAY SETTINGS materialize_ttl_after_modify = 0;
ALTER TABLE viworks.events MODIFY TTL toDateTime(received_at) + INTERVAL 2 YEAR + INTERVAL 3 DAY SETTINGS materialize_ttl_after_modify = 0;
ALTER TABLE viworks.alerts MODIFY TTL toDateTime(timestamp) + INTERVAL 2 YEAR + INTERVAL 3 DAY SETTINGS materialize_ttl_after_modify = 0;
ALTER TABLE viworks.rejections MODIFY TTL toDateTime(timestamp) + INTERVAL 2 YEAR + INTERVAL 3 DAY SETTINGS materialize_ttl_after_modify = 0;
ALTER TABLE viworks.audit_log MODIFY TTL toDateTime(_day_end) + INTERVAL 1 YEAR + INTERVAL 3 DAY SETTINGS materialize_ttl_after_modify = 0;
ALTER TABLE viworks.audit_unchained MODIFY TTL toDateTime(timestamp) + INTERVAL 1 YEAR + INTERVAL 3 DAY SETTINGS materialize_ttl_after_modify = 0;
ALTER TABLE viworks.warehouse_orders MODIFY TTL toDateTime(timestamp) + INTERVAL 90 DAY + INTERVAL 3 DAY SETTINGS materialize_ttl_after_modify = 0;

-- What was dropped: one signed note for each step, chained. The copy outside is retention/manifest.jsonl.
CREATE TABLE IF NOT EXISTS viworks.retention_manifest
(
    sequence Int64 CODEC(Delta, ZSTD(1)) COMMENT '0, 1, 2 and so on, without a gap',
    timestamp DateTime64(3, 'UTC') CODEC(DoubleDelta, ZSTD(1)) COMMENT 'When it was written',
    note String CODEC(ZSTD(1)) COMMENT 'The entry: a signed note'
)
ENGINE = MergeTree
ORDER BY sequence
SETTINGS non_replicated_deduplication_window = 10000, storage_policy = 'encrypted'
COMMENT 'What was dropped, when and why; viworks retention verify checks it';

CREATE TABLE IF NOT EXISTS viworks.retention_state
(
    table_name LowCardinality(String) COMMENT 'Of which table',
    at DateTime64(3, 'UTC') COMMENT 'When the job looked',
    rows UInt64 COMMENT 'All that lie in it',
    bytes UInt64 COMMENT 'On disk',
    oldest Nullable(DateTime64(3, 'UTC')) COMMENT 'Of the column that retention counts from',
    newest Nullable(DateTime64(3, 'UTC')) COMMENT 'Of the column that retention counts from',
    expired UInt64 COMMENT 'Rows whose time is up, and which wait for the last row of their part; nobody is served them',
    next_drop Nullable(DateTime64(3, 'UTC')) COMMENT 'When the last row of the first part is up'
)
ENGINE = ReplacingMergeTree(at)
ORDER BY table_name
SETTINGS non_replicated_deduplication_window = 10000, storage_policy = 'encrypted'
COMMENT 'What the retention job left in each table when it looked last';

CREATE TABLE IF NOT EXISTS viworks.holds
(
    name String CODEC(ZSTD(1)) COMMENT 'Of the hold',
    client_ids Array(String) CODEC(ZSTD(1)) COMMENT 'Whose rows; empty for everybody''s',
    since Nullable(DateTime64(3, 'UTC')) COMMENT 'From when on; null for no bound',
    until Nullable(DateTime64(3, 'UTC')) COMMENT 'The first moment that is left out; null for no bound',
    tables Array(LowCardinality(String)) COMMENT 'Of which tables',
    set_at DateTime64(3, 'UTC') COMMENT 'When it was set',
    actor String CODEC(ZSTD(1)) COMMENT 'Who set it',
    reason String CODEC(ZSTD(1)) COMMENT 'As it was given',
    order_id String CODEC(ZSTD(1)) COMMENT 'By which order',
    released Bool COMMENT 'Whether it is over',
    version DateTime64(3, 'UTC') DEFAULT now64(3) COMMENT 'The newest row of a name stays'
)
ENGINE = ReplacingMergeTree(version)
ORDER BY name
SETTINGS non_replicated_deduplication_window = 10000, storage_policy = 'encrypted'
COMMENT 'Legal holds: what they name outlives its retention in the held_ tables';

CREATE TABLE IF NOT EXISTS viworks.held_heartbeats AS viworks.heartbeats
ENGINE = ReplacingMergeTree
ORDER BY (_partition, _offset, received_at)
SETTINGS storage_policy = 'encrypted'
COMMENT 'Rows of heartbeats under a legal hold, without an end';

CREATE TABLE IF NOT EXISTS viworks.held_sessions AS viworks.sessions
ENGINE = ReplacingMergeTree
PRIMARY KEY (_partition, _offset, received_at)
ORDER BY (_partition, _offset, received_at)
SETTINGS storage_policy = 'encrypted'
COMMENT 'Rows of sessions under a legal hold, without an end';

CREATE TABLE IF NOT EXISTS viworks.held_registrations AS viworks.registrations
ENGINE = ReplacingMergeTree
ORDER BY (_partition, _offset, received_at)
SETTINGS storage_policy = 'encrypted'
COMMENT 'Rows of registrations under a legal hold, without an end';

CREATE TABLE IF NOT EXISTS viworks.held_liveness_transitions AS viworks.liveness_transitions
ENGINE = ReplacingMergeTree
ORDER BY (_partition, _offset, timestamp)
SETTINGS storage_policy = 'encrypted'
COMMENT 'Rows of liveness_transitions under a legal hold, without an end';

CREATE TABLE IF NOT EXISTS viworks.held_events AS viworks.events
ENGINE = ReplacingMergeTree
ORDER BY (_partition, _offset, received_at)
SETTINGS storage_policy = 'encrypted'
COMMENT 'Rows of events under a legal hold, without an end';

CREATE TABLE IF NOT EXISTS viworks.held_alerts AS viworks.alerts
ENGINE = ReplacingMergeTree
ORDER BY (_partition, _offset, timestamp)
SETTINGS storage_policy = 'encrypted'
COMMENT 'Rows of alerts under a legal hold, without an end';

CREATE TABLE IF NOT EXISTS viworks.held_rejections AS viworks.rejections
ENGINE = ReplacingMergeTree
ORDER BY (_partition, _offset, timestamp)
SETTINGS storage_policy = 'encrypted'
COMMENT 'Rows of rejections under a legal hold, without an end';

CREATE TABLE IF NOT EXISTS viworks.held_audit_log AS viworks.audit_log
ENGINE = ReplacingMergeTree
ORDER BY (_partition, _offset, timestamp)
SETTINGS storage_policy = 'encrypted'
COMMENT 'Rows of audit_log under a legal hold, without an end';

CREATE TABLE IF NOT EXISTS viworks.held_audit_unchained AS viworks.audit_unchained
ENGINE = ReplacingMergeTree
ORDER BY (_partition, _offset, timestamp)
SETTINGS storage_policy = 'encrypted'
COMMENT 'Rows of audit_unchained under a legal hold, without an end';

CREATE TABLE IF NOT EXISTS viworks.held_heartbeat_rollups AS viworks.heartbeat_rollups
ENGINE = ReplacingMergeTree(heartbeats)
ORDER BY (client_id, minute)
SETTINGS storage_policy = 'encrypted'
COMMENT 'Rows of heartbeat_rollups under a legal hold, without an end';
