-- What the registry knows of a client besides its key, and the history of its keys: it outlives the rows that they signed.
ALTER TABLE viworks.clients
    ADD COLUMN IF NOT EXISTS status LowCardinality(String) DEFAULT 'active' COMMENT 'active, pending (waits for an administrator) or revoked',
    ADD COLUMN IF NOT EXISTS labels Array(LowCardinality(String)) CODEC(ZSTD(1)) COMMENT 'Of the enrolment token',
    ADD COLUMN IF NOT EXISTS key_since DateTime64(3, 'UTC') CODEC(ZSTD(1)) COMMENT 'When the key was accepted',
    ADD COLUMN IF NOT EXISTS allowed_key_id String CODEC(ZSTD(1)) COMMENT 'A key that an administrator allows to take the client over',
    ADD COLUMN IF NOT EXISTS revoked_serials Array(String) CODEC(ZSTD(1)) COMMENT 'Hexadecimal; TLS certificates that no longer count',
    ADD COLUMN IF NOT EXISTS certificate_serials Array(String) CODEC(ZSTD(1)) COMMENT 'Hexadecimal; newest TLS certificates that were issued to the client';

ALTER TABLE viworks.events
    ADD COLUMN IF NOT EXISTS origin LowCardinality(String) DEFAULT 'client' COMMENT 'client, or edge where the server itself saw it; then nobody signed';

CREATE TABLE IF NOT EXISTS viworks.client_keys
(
    _topic LowCardinality(String) CODEC(ZSTD(1)) COMMENT 'Kafka topic that the row came from',
    _partition Int32 CODEC(Delta, ZSTD(1)) COMMENT 'Its partition',
    _offset Int64 CODEC(Delta, ZSTD(1)) COMMENT 'Its offset',
    client_id String CODEC(ZSTD(1)) COMMENT 'Whose key',
    key_id LowCardinality(String) COMMENT 'The first 16 hex digits of the key''s SHA-256',
    public_key String CODEC(NONE) COMMENT 'Ed25519, 32 bytes',
    key_epoch Int32 CODEC(T64, ZSTD(1)) COMMENT 'Rises with every change of the key or of the client''s standing',
    valid_from DateTime64(3, 'UTC') CODEC(ZSTD(1)) COMMENT 'When the registry accepted the key',
    origin LowCardinality(String) COMMENT 'registration, rotation or administrator',
    request_id String CODEC(ZSTD(1)) COMMENT 'Of the request that brought it',
    CONSTRAINT wire_is_aligned CHECK _topic = 'viworks.client-keys.v1'
)
ENGINE = ReplacingMergeTree(_offset)
ORDER BY (client_id, key_id, key_epoch)
SETTINGS non_replicated_deduplication_window = 10000
COMMENT 'Every key that a client ever had, to verify old rows with';
