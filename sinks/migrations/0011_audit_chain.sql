-- The audit as a hash chain with signed checkpoints. Rows of before it are kept beside it until they expire.
CREATE TABLE IF NOT EXISTS viworks.audit_log
(
    _topic LowCardinality(String) CODEC(ZSTD(1)) COMMENT 'Kafka topic that the row came from',
    _partition Int32 CODEC(Delta, ZSTD(1)) COMMENT 'Its partition',
    _offset Int64 CODEC(Delta, ZSTD(1)) COMMENT 'Its offset',
    audit_id String CODEC(ZSTD(1)) COMMENT 'Identity of the record',
    timestamp DateTime64(3, 'UTC') CODEC(DoubleDelta, ZSTD(1)) COMMENT 'When it happened',
    actor LowCardinality(String) CODEC(ZSTD(1)) COMMENT 'Who did it',
    action LowCardinality(String) COMMENT 'What was done',
    subject String CODEC(ZSTD(1)) COMMENT 'To whom or what',
    outcome LowCardinality(String) COMMENT 'How it ended',
    details String CODEC(ZSTD(1)) COMMENT 'JSON',
    _position Int64 CODEC(Delta, ZSTD(1)) COMMENT 'How many records the log has before this one',
    _day Date CODEC(Delta, ZSTD(1)) COMMENT 'Day of the log: that of _written_at, but never before the day of the record before',
    _written_at DateTime64(3, 'UTC') CODEC(DoubleDelta, ZSTD(1)) COMMENT 'When Kafka got it',
    _value String CODEC(ZSTD(1)) COMMENT 'The record as it stood in Kafka: what the hashes are of',
    _leaf_hash FixedString(32) CODEC(NONE) COMMENT 'SHA-256 of place, time and _value: a leaf of the day''s Merkle tree (RFC 6962)',
    _chain_hash FixedString(32) CODEC(NONE) COMMENT 'SHA-256 of the _chain_hash before and _leaf_hash',
    _day_end DateTime('UTC') MATERIALIZED toDateTime(_day + 1, 'UTC') CODEC(Delta, ZSTD(1)) COMMENT 'Retention counts from here, so that a day goes as a whole',
    _value_id UInt64 MATERIALIZED reinterpretAsUInt64(substring(SHA256(_value), 1, 8)) CODEC(NONE) COMMENT 'Finds a record that was written twice',
    INDEX by_value _value_id TYPE bloom_filter GRANULARITY 4,
    CONSTRAINT wire_is_aligned CHECK _topic = 'viworks.audit.v1'
)
ENGINE = MergeTree
PARTITION BY _day
ORDER BY _position
TTL _day_end + INTERVAL 1 YEAR
SETTINGS ttl_only_drop_parts = 1, non_replicated_deduplication_window = 10000
COMMENT 'The audit as a hash chain, 1 year by whole days; viworks audit verify checks it, viworks.audit is for reading';

CREATE TABLE IF NOT EXISTS viworks.audit_checkpoints
(
    sequence Int64 CODEC(Delta, ZSTD(1)) COMMENT '0, 1, 2 and so on, without a gap',
    day Date CODEC(Delta, ZSTD(1)) COMMENT 'The day whose records the root is of',
    timestamp DateTime64(3, 'UTC') CODEC(DoubleDelta, ZSTD(1)) COMMENT 'When it was made',
    records Int64 CODEC(Delta, ZSTD(1)) COMMENT 'How many records the whole log has up to here',
    note String CODEC(ZSTD(1)) COMMENT 'The checkpoint itself: a signed note'
)
ENGINE = MergeTree
ORDER BY sequence
SETTINGS non_replicated_deduplication_window = 10000
COMMENT 'Signed checkpoints of the audit log. They are kept: the last one of a day is what the next day begins with';

CREATE TABLE IF NOT EXISTS viworks.audit_unchained
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
    details String CODEC(ZSTD(1)) COMMENT 'JSON'
)
ENGINE = ReplacingMergeTree
PARTITION BY toYYYYMM(timestamp)
ORDER BY (timestamp, audit_id)
TTL toDateTime(timestamp) + INTERVAL 1 YEAR
SETTINGS ttl_only_drop_parts = 1
COMMENT 'Audit records of before there was a chain, until they expire';

-- Copies the former table; where this migration was interrupted or runs again, viworks.audit is the view below already.
INSERT INTO viworks.audit_unchained
    (_topic, _partition, _offset, audit_id, timestamp, actor, action, subject, outcome, details)
SELECT _topic, _partition, _offset, audit_id, timestamp, actor, action, subject, outcome, details
FROM viworks.audit
WHERE (SELECT count() FROM system.tables WHERE database = 'viworks' AND name = 'audit' AND engine = 'View') = 0;

CREATE OR REPLACE VIEW viworks.audit AS
SELECT _topic, _partition, _offset, audit_id, timestamp, actor, action, subject, outcome, details
FROM viworks.audit_log
WHERE timestamp > now64(3) - INTERVAL 1 YEAR
UNION ALL
SELECT _topic, _partition, _offset, audit_id, timestamp, actor, action, subject, outcome, details
FROM viworks.audit_unchained FINAL
WHERE timestamp > now64(3) - INTERVAL 1 YEAR
COMMENT 'What must be answered for, 1 year';
