-- What became of an alert, also where it was acknowledged, or kept back from everybody.
ALTER TABLE viworks.alerts
    COMMENT COLUMN status 'firing, suppressed (in its place, while nobody is told), acknowledged or resolved',
    COMMENT COLUMN suppressed_by 'Why nobody was told: silence:ID or mute:RULE';

CREATE OR REPLACE VIEW viworks.alert_timeline AS
SELECT
    alert_id,
    any(alert.rule) AS rule,
    argMax(alert.severity, alert.timestamp) AS severity,
    any(alert.client_id) AS client_id,
    any(alert.node_id) AS node_id,
    minIf(alert.timestamp, alert.status IN ('firing', 'suppressed')) AS fired_at,
    if(countIf(alert.status = 'acknowledged') > 0, minIf(alert.timestamp, alert.status = 'acknowledged'), NULL) AS acknowledged_at,
    argMinIf(alert.actor, alert.timestamp, alert.status = 'acknowledged') AS acknowledged_by,
    if(countIf(alert.status = 'resolved') > 0, maxIf(alert.timestamp, alert.status = 'resolved'), NULL) AS resolved_at,
    multiIf(
        resolved_at IS NOT NULL, 'resolved',
        acknowledged_at IS NOT NULL, 'acknowledged',
        countIf(alert.status = 'firing') > 0, 'firing',
        'suppressed') AS status,
    if(countIf(alert.status = 'firing') > 0, NULL, anyIf(alert.suppressed_by, alert.status = 'suppressed')) AS suppressed_by,
    if(resolved_at IS NULL, NULL, dateDiff('millisecond', fired_at, resolved_at) / 1000) AS duration_s,
    argMinIf(alert.summary, alert.timestamp, alert.status IN ('firing', 'suppressed')) AS summary
FROM viworks.alerts AS alert FINAL
WHERE alert.timestamp > now64(3) - INTERVAL 2 YEAR
GROUP BY alert_id
COMMENT 'One row per alert: when it fired, was acknowledged and resolved, and why nobody was told where nobody was';
