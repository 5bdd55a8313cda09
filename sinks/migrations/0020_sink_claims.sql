-- Who may write what a partition of Kafka brings, where several sinks share a server: the newest claim of a partition counts.
-- An embedded engine has one process, which claims nothing.
CREATE TABLE IF NOT EXISTS viworks.sink_claims
(
    topic LowCardinality(String) COMMENT 'Kafka topic',
    partition Int32 CODEC(Delta, ZSTD(1)) COMMENT 'Its partition',
    number Int64 CODEC(Delta, ZSTD(1)) COMMENT 'The greatest is the newest; of equal ones the greatest claim',
    claim String CODEC(ZSTD(1)) COMMENT 'Made up by the sink that claims; each of its inserts names it',
    claimed_at DateTime64(3, 'UTC') DEFAULT now64(3) CODEC(DoubleDelta, ZSTD(1)) COMMENT 'When, by the server''s clock'
)
ENGINE = MergeTree
PARTITION BY toYYYYMM(claimed_at)
ORDER BY (topic, partition, number)
TTL toDateTime(claimed_at) + INTERVAL 90 DAY
SETTINGS ttl_only_drop_parts = 1, storage_policy = 'encrypted'
COMMENT 'Which sink writes which partition; a sink whose claim is not there claims anew';
