-- The states late and gone in what analysts read, and the uptime that stands with a transition.
ALTER TABLE viworks.liveness_transitions
    ADD COLUMN IF NOT EXISTS uptime Nullable(Float64) CODEC(ZSTD(1)) COMMENT 'Seconds, of the newest heartbeat';

CREATE OR REPLACE VIEW viworks.fleet_now AS
SELECT
    client.client_id AS client_id,
    multiIf(
        verdict.state != '', verdict.state,
        beat.client_id = '', 'unknown',
        beat.received_at + toIntervalMillisecond(3 * beat.interval_ms) > now64(3), 'online',
        'offline') AS state,
    if(verdict.state != '', verdict.since, NULL) AS state_since,
    if(verdict.state != '', verdict.reason, NULL) AS state_reason,
    if(beat.client_id != '', beat.received_at, NULL) AS last_heartbeat,
    if(beat.client_id != '', beat.status, NULL) AS reported_status,
    if(beat.client_id != '', beat.uptime, NULL) AS uptime,
    if(beat.client_id != '', beat.memory_usage, NULL) AS memory_usage,
    if(beat.client_id != '', beat.cpu_usage, NULL) AS cpu_usage,
    if(beat.client_id != '', beat.network_activity, NULL) AS network_activity,
    if(beat.client_id != '', beat.interval_ms, NULL) AS interval_ms,
    client.node_id AS node_id,
    client.version AS version,
    client.capabilities AS capabilities,
    client.key_epoch AS key_epoch,
    client.registered_at AS registered_at
FROM (SELECT * FROM viworks.clients FINAL) AS client
LEFT JOIN
(
    SELECT * FROM viworks.heartbeats_now FINAL WHERE received_at > now64(3) - INTERVAL 24 HOUR
) AS beat ON beat.client_id = client.client_id
LEFT JOIN
(
    SELECT
        client_id,
        argMax(transition.state, _offset) AS state,
        argMax(transition.reason, _offset) AS reason,
        argMax(ifNull(transition.since, transition.timestamp), _offset) AS since
    FROM viworks.liveness_transitions AS transition
    WHERE transition.timestamp > now64(3) - INTERVAL 90 DAY
    GROUP BY client_id
) AS verdict ON verdict.client_id = client.client_id
SETTINGS join_use_nulls = 0
COMMENT 'The fleet now, one row per client: the server''s verdict (state), the newest heartbeat, node and version';

CREATE OR REPLACE VIEW viworks.availability AS
SELECT
    client_id,
    day,
    sumIf(seconds, state IN ('online', 'late')) AS online_s,
    sumIf(seconds, state = 'offline') AS offline_s,
    sumIf(seconds, state = 'error') AS error_s,
    sumIf(seconds, state = 'maintenance') AS maintenance_s,
    sumIf(seconds, state = 'gone') AS gone_s,
    if(online_s + offline_s + error_s > 0, online_s / (online_s + offline_s + error_s), NULL) AS availability
FROM
(
    SELECT
        client_id,
        state,
        arrayJoin(arrayMap(i -> toDate(begins) + i, range(toUInt32(dateDiff('day', begins, ends) + 1)))) AS day,
        dateDiff('millisecond', greatest(begins, toDateTime64(day, 3, 'UTC')), least(ends, toDateTime64(day + 1, 3, 'UTC'))) / 1000 AS seconds
    FROM
    (
        SELECT
            client_id,
            state,
            timestamp AS begins,
            leadInFrame(timestamp, 1, greatest(timestamp, now64(3, 'UTC'))) OVER
                (PARTITION BY client_id ORDER BY timestamp, _offset ROWS BETWEEN UNBOUNDED PRECEDING AND UNBOUNDED FOLLOWING) AS ends
        FROM viworks.liveness_transitions FINAL
        WHERE timestamp > now64(3) - INTERVAL 90 DAY
    )
)
GROUP BY client_id, day
COMMENT 'By client and day (UTC): seconds in each state (late counts as online), and the share online of all but maintenance and gone';
