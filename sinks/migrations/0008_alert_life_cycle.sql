-- What a policy says of maintenance and of silence, the states late and gone, and the life cycle of alerts.
ALTER TABLE viworks.heartbeats
    ADD COLUMN IF NOT EXISTS maintenance_ms Int64 DEFAULT 14400000 CODEC(T64, ZSTD(1)) COMMENT 'How long the policy lets the client stay in maintenance, milliseconds',
    ADD COLUMN IF NOT EXISTS gone_ms Int64 DEFAULT 2592000000 CODEC(T64, ZSTD(1)) COMMENT 'After so long a silence the policy takes the client as gone, milliseconds';

ALTER TABLE viworks.liveness_transitions
    ADD COLUMN IF NOT EXISTS since Nullable(DateTime64(3, 'UTC')) CODEC(ZSTD(1)) COMMENT 'When the client came into this state',
    ADD COLUMN IF NOT EXISTS maintenance_ms Int64 DEFAULT 14400000 CODEC(T64, ZSTD(1)) COMMENT 'How long the policy lets the client stay in maintenance, milliseconds',
    ADD COLUMN IF NOT EXISTS gone_ms Int64 DEFAULT 2592000000 CODEC(T64, ZSTD(1)) COMMENT 'After so long a silence the policy takes the client as gone, milliseconds',
    COMMENT COLUMN state 'online, late, offline, maintenance, error or gone',
    COMMENT COLUMN reason 'heartbeat, reported (a heartbeat that says so), late, missed_heartbeats, never_came, maintenance_expired or stale';

ALTER TABLE viworks.alerts
    ADD COLUMN IF NOT EXISTS node_id LowCardinality(Nullable(String)) COMMENT 'The node of the client, or the node that it is about',
    ADD COLUMN IF NOT EXISTS "group" String DEFAULT '{}' CODEC(ZSTD(1)) COMMENT 'JSON: what the rule grouped by',
    ADD COLUMN IF NOT EXISTS suppressed_by Nullable(String) CODEC(ZSTD(1)) COMMENT 'Why nobody was told: silence:ID or mute:RULE',
    ADD COLUMN IF NOT EXISTS actor Nullable(String) CODEC(ZSTD(1)) COMMENT 'Who acknowledged it',
    COMMENT COLUMN status 'firing, suppressed, acknowledged or resolved';
