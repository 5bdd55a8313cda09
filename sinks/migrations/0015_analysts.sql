-- Quantiles and service levels beside what was there, and the views of hunts. Each reads its tables with their retention.
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
    quantile(0.95)(duration_s) AS p95_duration_s,
    quantile(0.25)(duration_s) AS p25_duration_s,
    quantile(0.75)(duration_s) AS p75_duration_s,
    quantile(0.99)(duration_s) AS p99_duration_s,
    max(duration_s) AS max_duration_s
FROM viworks.sessions_merged
GROUP BY day, session_type, node_id
COMMENT 'Sessions by day, type and node: how many, how long (quantiles), and success_rate of those that ended, status error being failure';

CREATE OR REPLACE VIEW viworks.availability_slo AS
SELECT
    client_id,
    day,
    availability,
    online_s + offline_s + error_s AS counted_s,
    offline_s + error_s AS down_s,
    counted_s * 0.01 - down_s AS budget_99_left_s,
    counted_s * 0.001 - down_s AS budget_99_9_left_s,
    availability >= 0.99 AS met_99,
    availability >= 0.999 AS met_99_9
FROM viworks.availability
WHERE availability IS NOT NULL
COMMENT 'By client and day (UTC): whether 99 % and 99.9 % were met, and what is left of the seconds that may be lost; maintenance does not count';

CREATE OR REPLACE VIEW viworks.hunt_shared_sources AS
SELECT
    toStartOfHour(event.timestamp) AS hour,
    event.source_ip_pseudonym AS source_ip_pseudonym,
    any(event.source_ip) AS network,
    uniqExact(event.client_id) AS clients,
    count() AS failures,
    min(event.timestamp) AS first_at,
    max(event.timestamp) AS last_at,
    groupUniqArray(20)(event.client_id) AS client_ids
FROM viworks.events AS event FINAL
WHERE event.received_at > now64(3) - INTERVAL 2 YEAR
    AND event.event_type = 'authentication_failure'
    AND event.source_ip_pseudonym IS NOT NULL
GROUP BY hour, source_ip_pseudonym
HAVING clients > 1
COMMENT 'Brute force across clients: addresses whose authentications failed at more than one client within an hour';

CREATE OR REPLACE VIEW viworks.hunt_failures_then_success AS
SELECT
    success.client_id AS client_id,
    success.session_id AS session_id,
    success.start_time AS start_time,
    success.session_type AS session_type,
    success.client_ip_pseudonym AS client_ip_pseudonym,
    count() AS failures,
    countIf(failure.source_ip_pseudonym = success.client_ip_pseudonym) AS failures_from_this_address,
    min(failure.timestamp) AS first_failure_at,
    max(failure.timestamp) AS last_failure_at
FROM (SELECT * FROM viworks.sessions_merged WHERE status != 'error') AS success
INNER JOIN
(
    SELECT client_id, timestamp, source_ip_pseudonym
    FROM viworks.events FINAL
    WHERE received_at > now64(3) - INTERVAL 2 YEAR AND event_type = 'authentication_failure'
) AS failure ON failure.client_id = success.client_id
WHERE failure.timestamp <= success.start_time AND failure.timestamp > success.start_time - INTERVAL 15 MINUTE
GROUP BY client_id, session_id, start_time, session_type, client_ip_pseudonym
HAVING failures >= 3
COMMENT 'Brute force that went through: sessions that began within 15 minutes after three or more failed authentications of their client';

CREATE OR REPLACE VIEW viworks.hunt_widening_targets AS
SELECT
    client_id,
    day,
    targets,
    new_targets,
    if(days_before > 0, targets_before / days_before, NULL) AS usual_targets
FROM
(
    SELECT
        client_id,
        day,
        targets,
        new_targets,
        count() OVER (PARTITION BY client_id ORDER BY day ROWS BETWEEN 7 PRECEDING AND 1 PRECEDING) AS days_before,
        sum(targets) OVER (PARTITION BY client_id ORDER BY day ROWS BETWEEN 7 PRECEDING AND 1 PRECEDING) AS targets_before
    FROM
    (
        SELECT client_id, day, uniqExact(target) AS targets, uniqExactIf(target, day = first_day) AS new_targets
        FROM
        (
            SELECT
                event.client_id AS client_id,
                event.target_ip_pseudonym AS target,
                toDate(event.timestamp) AS day,
                min(toDate(event.timestamp)) OVER (PARTITION BY event.client_id, event.target_ip_pseudonym) AS first_day
            FROM viworks.events AS event FINAL
            WHERE event.received_at > now64(3) - INTERVAL 2 YEAR AND event.target_ip_pseudonym IS NOT NULL
        )
        GROUP BY client_id, day
    )
)
COMMENT 'Lateral movement: how many addresses a client aimed at by day, how many of them for the first time, and its mean of the seven days before that had any';

CREATE OR REPLACE VIEW viworks.hunt_shared_addresses AS
SELECT
    toStartOfInterval(start_time, INTERVAL 10 MINUTE) AS began,
    client_ip_pseudonym,
    any(client_ip) AS network,
    uniqExact(client_id) AS clients,
    count() AS sessions,
    groupUniqArray(20)(client_id) AS client_ids
FROM viworks.sessions_merged
GROUP BY began, client_ip_pseudonym
HAVING clients > 1
COMMENT 'Lateral movement: sessions of several clients from one address within ten minutes; an office behind one address looks so too';

CREATE OR REPLACE VIEW viworks.hunt_unusual_hours AS
SELECT client_id, session_id, session_type, start_time, hour, sessions_before
FROM
(
    SELECT
        client_id,
        session_id,
        session_type,
        start_time,
        toHour(start_time) AS hour,
        count() OVER (PARTITION BY client_id ORDER BY start_time ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING) AS sessions_before,
        count() OVER (PARTITION BY client_id, toHour(start_time) ORDER BY start_time ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING)
            AS at_this_hour_before
    FROM viworks.sessions_merged
)
WHERE sessions_before >= 10 AND at_this_hour_before = 0
COMMENT 'Sessions that began in an hour of the day (UTC) in which their client, of ten or more sessions before, had begun none';
