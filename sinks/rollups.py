"""Brings the rollups up to the heartbeats after a crash, and the hours up to the minutes.

ClickHouse feeds a materialised view after the table itself is written, not together with it: a process that ends in between
leaves heartbeats that no rollup counts, and that will not be inserted again. Each rollup knows up to which offset it counts.
"""

from __future__ import annotations

from sinks.engine import Session
from sinks.tables import DATABASE

# What was not counted is among the newest heartbeats: an edge takes a timestamp within 5 minutes of its clock. Where that
# clock was ahead, the newest minute tells nothing, and all heartbeats that have not expired are looked through.
_CATCH_UP = f"""
INSERT INTO {DATABASE}.heartbeat_rollups
    (client_id, minute, heartbeats, errors, cpu_usage_sum, cpu_usage_max, memory_usage_sum, memory_usage_max,
     network_activity_sum, network_activity_max, _partition, _next)
WITH
    (
        SELECT if(max(minute) > now('UTC') + INTERVAL 5 MINUTE, now('UTC') - INTERVAL 1 DAY, max(minute))
        FROM {DATABASE}.heartbeat_rollups
    ) AS newest,
    greatest(newest, toDateTime('1971-01-01', 'UTC')) - INTERVAL 1 HOUR AS since,  -- of no minute at all max is 0
    counted AS
    (
        SELECT _partition AS number, toDate(minute) AS day, max(_next) AS next
        FROM {DATABASE}.heartbeat_rollups
        WHERE minute >= toStartOfDay(since)  -- whole days
        GROUP BY number, day
    )
SELECT
    client_id, toStartOfMinute(timestamp), count(), countIf(status = 'error'), sum(cpu_usage), max(cpu_usage),
    sum(memory_usage), max(memory_usage), sum(network_activity), max(network_activity), max(_partition), max(_offset) + 1
FROM {DATABASE}.heartbeats AS beat
LEFT JOIN counted ON counted.number = beat._partition AND counted.day = toDate(beat.timestamp)
WHERE timestamp > since AND _offset >= counted.next
GROUP BY client_id, toStartOfMinute(timestamp)
SETTINGS final = 0, join_use_nulls = 0
"""  # noqa: S608 - our own names


# What the minutes have and the hours lack; also all of it, where the hours are new.
_CATCH_UP_HOURS = f"""
INSERT INTO {DATABASE}.heartbeat_rollups_hourly
    (client_id, hour, heartbeats, errors, cpu_usage_sum, cpu_usage_max, memory_usage_sum, memory_usage_max,
     network_activity_sum, network_activity_max)
WITH
    (
        SELECT greatest(least(max(hour), toStartOfHour(now('UTC'))), toDateTime('1971-01-01', 'UTC')) - INTERVAL 3 DAY
        FROM {DATABASE}.heartbeat_rollups_hourly
    ) AS since,
    counted AS
    (
        SELECT client_id, hour, sum(heartbeats) AS heartbeats, sum(errors) AS errors, sum(cpu_usage_sum) AS cpu,
            sum(memory_usage_sum) AS memory, sum(network_activity_sum) AS network
        FROM {DATABASE}.heartbeat_rollups_hourly
        WHERE hour >= since  -- a whole hour
        GROUP BY client_id, hour
    )
SELECT
    minutes.client_id, minutes.hour, minutes.heartbeats - counted.heartbeats, minutes.errors - counted.errors,
    minutes.cpu - counted.cpu, minutes.cpu_max, minutes.memory - counted.memory, minutes.memory_max,
    minutes.network - counted.network, minutes.network_max
FROM
(
    SELECT client_id, toStartOfHour(minute) AS hour, sum(heartbeats) AS heartbeats, sum(errors) AS errors,
        sum(cpu_usage_sum) AS cpu, max(cpu_usage_max) AS cpu_max, sum(memory_usage_sum) AS memory,
        max(memory_usage_max) AS memory_max, sum(network_activity_sum) AS network, max(network_activity_max) AS network_max
    FROM {DATABASE}.heartbeat_rollups
    WHERE minute >= since
    GROUP BY client_id, hour
) AS minutes
LEFT JOIN counted ON counted.client_id = minutes.client_id AND counted.hour = minutes.hour
WHERE minutes.heartbeats > counted.heartbeats
SETTINGS final = 0, join_use_nulls = 0
"""  # noqa: S608 - our own names


def catch_up(session: Session) -> None:
    """Count the heartbeats that a crash left out. Only for a process that alone writes to the table.

    Raises:
        EngineUnavailable: ClickHouse does not answer.
    """
    session.command(_CATCH_UP)
    session.command(_CATCH_UP_HOURS)
