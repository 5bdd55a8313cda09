-- ClickHouse takes any 64-bit number for a DateTime64 from Avro. A row of the year 300000 would have a partition of its own, would
-- never expire, and Python and Arrow clients fail on reading it: such a record is a dead letter.
ALTER TABLE viworks.heartbeats ADD CONSTRAINT IF NOT EXISTS times_are_dates
    CHECK least(timestamp, received_at) >= toDateTime64(0, 3, 'UTC') AND greatest(timestamp, received_at) < toDateTime64('2200-01-01 00:00:00', 3, 'UTC');
ALTER TABLE viworks.sessions ADD CONSTRAINT IF NOT EXISTS times_are_dates
    CHECK least(start_time, coalesce(end_time, start_time), received_at) >= toDateTime64(0, 3, 'UTC') AND greatest(start_time, coalesce(end_time, start_time), received_at) < toDateTime64('2200-01-01 00:00:00', 3, 'UTC');
ALTER TABLE viworks.liveness_transitions ADD CONSTRAINT IF NOT EXISTS times_are_dates
    CHECK least(timestamp, last_heartbeat, deadline, watermark, heartbeat_timestamp) >= toDateTime64(0, 3, 'UTC') AND greatest(timestamp, last_heartbeat, deadline, watermark, heartbeat_timestamp) < toDateTime64('2200-01-01 00:00:00', 3, 'UTC');
ALTER TABLE viworks.events ADD CONSTRAINT IF NOT EXISTS times_are_dates
    CHECK least(timestamp, received_at) >= toDateTime64(0, 3, 'UTC') AND greatest(timestamp, received_at) < toDateTime64('2200-01-01 00:00:00', 3, 'UTC');
ALTER TABLE viworks.alerts ADD CONSTRAINT IF NOT EXISTS times_are_dates
    CHECK least(timestamp, emitted_at) >= toDateTime64(0, 3, 'UTC') AND greatest(timestamp, emitted_at) < toDateTime64('2200-01-01 00:00:00', 3, 'UTC');
ALTER TABLE viworks.rejections ADD CONSTRAINT IF NOT EXISTS times_are_dates
    CHECK least(first_at, timestamp) >= toDateTime64(0, 3, 'UTC') AND greatest(first_at, timestamp) < toDateTime64('2200-01-01 00:00:00', 3, 'UTC');
ALTER TABLE viworks.clients ADD CONSTRAINT IF NOT EXISTS times_are_dates
    CHECK least(registered_at, timestamp, received_at) >= toDateTime64(0, 3, 'UTC') AND greatest(registered_at, timestamp, received_at) < toDateTime64('2200-01-01 00:00:00', 3, 'UTC');
ALTER TABLE viworks.client_keys ADD CONSTRAINT IF NOT EXISTS times_are_dates
    CHECK valid_from >= toDateTime64(0, 3, 'UTC') AND valid_from < toDateTime64('2200-01-01 00:00:00', 3, 'UTC');
