-- What became of administrators' orders: one that Kafka brings again is answered again, not carried out again. Kafka has an
-- order for a week. What it was about is not here but in the audit.
CREATE TABLE IF NOT EXISTS viworks.warehouse_orders
(
    order_id String CODEC(ZSTD(1)) COMMENT 'The order',
    action LowCardinality(String) COMMENT 'What was to be done',
    outcome LowCardinality(String) COMMENT 'accepted, refused or failed',
    details String CODEC(ZSTD(1)) COMMENT 'JSON: what was answered',
    timestamp DateTime64(3, 'UTC') CODEC(ZSTD(1)) COMMENT 'When it was answered'
)
ENGINE = ReplacingMergeTree
PARTITION BY toYYYYMM(timestamp)
ORDER BY order_id
TTL toDateTime(timestamp) + INTERVAL 90 DAY
SETTINGS ttl_only_drop_parts = 1, non_replicated_deduplication_window = 10000, storage_policy = 'encrypted'
COMMENT 'What became of administrators'' orders to the warehouse, 90 days';
