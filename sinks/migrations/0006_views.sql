CREATE OR REPLACE VIEW viworks.sessions_merged AS
SELECT
    client_id,
    session_id,
    argMin(report.session_type, _offset) AS session_type,
    min(report.start_time) AS start_time,
    argMinIf(tuple(report.end_time), _offset, report.status != 'active').1 AS end_time,
    if(countIf(report.status != 'active') > 0, argMinIf(report.status, _offset, report.status != 'active'), 'active') AS status,
    if(end_time IS NULL, NULL, dateDiff('millisecond', start_time, end_time) / 1000) AS duration_s,
    argMax(report.node_id, _offset) AS node_id,
    argMax(report.client_ip, _offset) AS client_ip,
    argMax(report.client_ip_pseudonym, _offset) AS client_ip_pseudonym,
    argMax(report.user_agent, _offset) AS user_agent,
    argMax(report.protocol_version, _offset) AS protocol_version,
    count() AS reports,
    min(report.received_at) AS first_received_at,
    max(report.received_at) AS last_received_at
FROM viworks.sessions AS report FINAL
WHERE report.received_at > now64(3) - INTERVAL 90 DAY
GROUP BY client_id, session_id
COMMENT 'One row per session; its first terminal report decides status and end_time, a late active never reopens it';

CREATE OR REPLACE VIEW viworks.session_stats AS
SELECT
    toDate(start_time) AS day,
    session_type,
    node_id,
    count() AS sessions,
    countIf(status = 'active') AS active,
    countIf(status IN ('disconnected', 'terminated')) AS succeeded,
    countIf(status = 'error') AS failed,
    if(succeeded + failed > 0, succeeded / (succeeded + failed), NULL) AS success_rate,
    avg(duration_s) AS avg_duration_s,
    quantile(0.5)(duration_s) AS median_duration_s,
    quantile(0.95)(duration_s) AS p95_duration_s
FROM viworks.sessions_merged
GROUP BY day, session_type, node_id
COMMENT 'Sessions by day, type and node; success_rate is of those that ended, status error being failure';

CREATE OR REPLACE VIEW viworks.fleet_now AS
SELECT
    client.client_id AS client_id,
    multiIf(
        verdict.state != '', verdict.state,
        beat.client_id = '', 'unknown',
        beat.received_at + toIntervalMillisecond(3 * beat.interval_ms) > now64(3), 'online',
        'offline') AS state,
    if(verdict.state != '', verdict.since, NULL) AS state_since,
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
    SELECT client_id, argMax(state, _offset) AS state, argMax(timestamp, _offset) AS since
    FROM viworks.liveness_transitions
    WHERE timestamp > now64(3) - INTERVAL 90 DAY
    GROUP BY client_id
) AS verdict ON verdict.client_id = client.client_id
SETTINGS join_use_nulls = 0
COMMENT 'The fleet now, one row per client: the server''s verdict (state), the newest heartbeat, node and version';

CREATE OR REPLACE VIEW viworks.availability AS
SELECT
    client_id,
    day,
    sumIf(seconds, state = 'online') AS online_s,
    sumIf(seconds, state = 'offline') AS offline_s,
    sumIf(seconds, state = 'error') AS error_s,
    sumIf(seconds, state = 'maintenance') AS maintenance_s,
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
COMMENT 'By client and day (UTC): seconds in each state, and the share online of all but maintenance';

CREATE OR REPLACE VIEW viworks.error_rates AS
SELECT
    toStartOfHour(minute) AS hour,
    'heartbeat' AS source,
    sum(rollup.heartbeats) AS total,
    sum(rollup.errors) AS errors,
    errors / total AS error_rate
FROM viworks.heartbeat_rollups AS rollup
WHERE minute > now() - INTERVAL 90 DAY
GROUP BY hour
UNION ALL
SELECT
    toStartOfHour(start_time) AS hour,
    'session' AS source,
    toUInt64(count()) AS total,
    toUInt64(countIf(status = 'error')) AS errors,
    errors / total AS error_rate
FROM viworks.sessions_merged
GROUP BY hour
COMMENT 'By hour: the share of heartbeats and of sessions with status error';

CREATE OR REPLACE VIEW viworks.security_timeline AS
SELECT timestamp, 'event' AS source, client_id, event_type AS name, severity, event_id AS id, ifNull(error_code, '') AS detail
FROM viworks.events FINAL
WHERE received_at > now64(3) - INTERVAL 2 YEAR
UNION ALL
SELECT timestamp, 'alert' AS source, client_id, rule AS name, severity, alert_id AS id, concat(status, ': ', summary) AS detail
FROM viworks.alerts FINAL
WHERE timestamp > now64(3) - INTERVAL 2 YEAR
UNION ALL
SELECT timestamp, 'rejection' AS source, client_id, reason AS name, 'info' AS severity, rejection_id AS id, concat(endpoint, ' x', toString(count)) AS detail
FROM viworks.rejections FINAL
WHERE timestamp > now64(3) - INTERVAL 2 YEAR
COMMENT 'Events, alerts and refused requests in one list; order it by timestamp';

CREATE OR REPLACE VIEW viworks.alert_timeline AS
SELECT
    alert_id,
    any(alert.rule) AS rule,
    argMax(alert.severity, alert.timestamp) AS severity,
    any(alert.client_id) AS client_id,
    minIf(alert.timestamp, alert.status = 'firing') AS fired_at,
    if(countIf(alert.status = 'resolved') > 0, maxIf(alert.timestamp, alert.status = 'resolved'), NULL) AS resolved_at,
    if(resolved_at IS NULL, 'firing', 'resolved') AS status,
    if(resolved_at IS NULL, NULL, dateDiff('millisecond', fired_at, resolved_at) / 1000) AS duration_s,
    argMinIf(alert.summary, alert.timestamp, alert.status = 'firing') AS summary
FROM viworks.alerts AS alert FINAL
WHERE alert.timestamp > now64(3) - INTERVAL 2 YEAR
GROUP BY alert_id
COMMENT 'One row per alert: when it fired, when it was resolved';
