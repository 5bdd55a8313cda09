-- The audit names clients by pseudonyms from now on: its rows are a chain that nobody may edit, so what links them to a client must
-- lie beside them, where it can be destroyed (viworks erase). viworks.audit shows the names for as long as the link is there.
CREATE TABLE IF NOT EXISTS viworks.audit_subjects
(
    client_id String CODEC(ZSTD(1)) COMMENT 'The client',
    pseudonym String CODEC(ZSTD(1)) COMMENT 'Random; what the audit log names the client by',
    made_at DateTime64(3, 'UTC') DEFAULT now64(3) CODEC(ZSTD(1)) COMMENT 'When the log named the client first'
)
ENGINE = ReplacingMergeTree
ORDER BY (client_id, pseudonym)
SETTINGS non_replicated_deduplication_window = 10000, storage_policy = 'encrypted'
COMMENT 'Which client a pseudonym of the audit log stands for; a row is destroyed when its client is erased';

CREATE OR REPLACE VIEW viworks.audit AS
SELECT
    record._topic AS _topic,
    record._partition AS _partition,
    record._offset AS _offset,
    record.audit_id AS audit_id,
    record.timestamp AS timestamp,
    if(by.client_id != '', by.client_id, record.actor) AS actor,
    record.action AS action,
    if(about.client_id != '', about.client_id, record.subject) AS subject,
    record.outcome AS outcome,
    record.details AS details
FROM
(
    SELECT _topic, _partition, _offset, audit_id, timestamp, toString(actor) AS actor, action, subject, outcome, details
    FROM viworks.audit_log
    WHERE timestamp > now64(3) - INTERVAL 1 YEAR
    UNION ALL
    SELECT _topic, _partition, _offset, audit_id, timestamp, toString(actor) AS actor, action, subject, outcome, details
    FROM viworks.audit_unchained FINAL
    WHERE timestamp > now64(3) - INTERVAL 1 YEAR
) AS record
LEFT ANY JOIN viworks.audit_subjects AS by ON by.pseudonym = record.actor
LEFT ANY JOIN viworks.audit_subjects AS about ON about.pseudonym = record.subject
SETTINGS join_use_nulls = 0
COMMENT 'What must be answered for, 1 year; clients by their names until they are erased';
