-- Roles, limits and retention for analysts on a ClickHouse server, as the SQL port has them on the embedded engine.
-- Made by: python -m sinks.sql_port.server_roles > infra/clickhouse/roles.sql
-- Run it as a user with access management, once the tables are there: clickhouse-client --multiquery < roles.sql
-- The server needs, in its configuration (all are its defaults but in old installations):
--   access_control_improvements: settings_constraints_replace_previous, select_from_system_db_requires_grant
-- A user then gets a role, and all of it with that:
--   CREATE USER maria IDENTIFIED WITH sha256_password BY '...' DEFAULT ROLE viworks_analyst;
--   GRANT viworks_analyst TO maria;

CREATE SETTINGS PROFILE OR REPLACE viworks_analyst SETTINGS
    readonly = 1 CONST,
    final = 1 CONST,
    allow_introspection_functions = 0 CONST,
    result_overflow_mode = 'throw' CONST,
    timeout_overflow_mode = 'throw' CONST,
    max_concurrent_queries_for_user = 3 CONST,
    max_execution_time = 60 MIN 1 MAX 60 CHANGEABLE_IN_READONLY,
    max_result_rows = 1000000 MIN 1 MAX 1000000 CHANGEABLE_IN_READONLY,
    max_result_bytes = 268435456 MIN 1 MAX 268435456 CHANGEABLE_IN_READONLY,
    max_memory_usage = 1073741824 MIN 1 MAX 1073741824 CHANGEABLE_IN_READONLY,
    cast_string_to_dynamic_use_inference CHANGEABLE_IN_READONLY,
    count_distinct_implementation CHANGEABLE_IN_READONLY,
    date_time_input_format CHANGEABLE_IN_READONLY,
    date_time_output_format CHANGEABLE_IN_READONLY,
    extremes CHANGEABLE_IN_READONLY,
    group_by_use_nulls CHANGEABLE_IN_READONLY,
    join_use_nulls CHANGEABLE_IN_READONLY,
    limit CHANGEABLE_IN_READONLY,
    max_block_size CHANGEABLE_IN_READONLY,
    max_bytes_to_read CHANGEABLE_IN_READONLY,
    max_columns_to_read CHANGEABLE_IN_READONLY,
    max_rows_to_group_by CHANGEABLE_IN_READONLY,
    max_rows_to_read CHANGEABLE_IN_READONLY,
    max_threads CHANGEABLE_IN_READONLY,
    offset CHANGEABLE_IN_READONLY,
    output_format_decimal_trailing_zeros CHANGEABLE_IN_READONLY,
    output_format_write_statistics CHANGEABLE_IN_READONLY,
    session_timezone CHANGEABLE_IN_READONLY,
    totals_mode CHANGEABLE_IN_READONLY,
    use_client_time_zone CHANGEABLE_IN_READONLY;
CREATE SETTINGS PROFILE OR REPLACE viworks_auditor SETTINGS
    readonly = 1 CONST,
    final = 1 CONST,
    allow_introspection_functions = 0 CONST,
    result_overflow_mode = 'throw' CONST,
    timeout_overflow_mode = 'throw' CONST,
    max_concurrent_queries_for_user = 3 CONST,
    max_execution_time = 60 MIN 1 MAX 60 CHANGEABLE_IN_READONLY,
    max_result_rows = 1000000 MIN 1 MAX 1000000 CHANGEABLE_IN_READONLY,
    max_result_bytes = 268435456 MIN 1 MAX 268435456 CHANGEABLE_IN_READONLY,
    max_memory_usage = 1073741824 MIN 1 MAX 1073741824 CHANGEABLE_IN_READONLY,
    cast_string_to_dynamic_use_inference CHANGEABLE_IN_READONLY,
    count_distinct_implementation CHANGEABLE_IN_READONLY,
    date_time_input_format CHANGEABLE_IN_READONLY,
    date_time_output_format CHANGEABLE_IN_READONLY,
    extremes CHANGEABLE_IN_READONLY,
    group_by_use_nulls CHANGEABLE_IN_READONLY,
    join_use_nulls CHANGEABLE_IN_READONLY,
    limit CHANGEABLE_IN_READONLY,
    max_block_size CHANGEABLE_IN_READONLY,
    max_bytes_to_read CHANGEABLE_IN_READONLY,
    max_columns_to_read CHANGEABLE_IN_READONLY,
    max_rows_to_group_by CHANGEABLE_IN_READONLY,
    max_rows_to_read CHANGEABLE_IN_READONLY,
    max_threads CHANGEABLE_IN_READONLY,
    offset CHANGEABLE_IN_READONLY,
    output_format_decimal_trailing_zeros CHANGEABLE_IN_READONLY,
    output_format_write_statistics CHANGEABLE_IN_READONLY,
    session_timezone CHANGEABLE_IN_READONLY,
    totals_mode CHANGEABLE_IN_READONLY,
    use_client_time_zone CHANGEABLE_IN_READONLY;
CREATE SETTINGS PROFILE OR REPLACE viworks_admin SETTINGS
    readonly = 1 CONST,
    final = 1 CONST,
    allow_introspection_functions = 0 CONST,
    result_overflow_mode = 'throw' CONST,
    timeout_overflow_mode = 'throw' CONST,
    max_concurrent_queries_for_user = 3 CONST,
    max_execution_time = 600 MIN 1 MAX 600 CHANGEABLE_IN_READONLY,
    max_result_rows = 10000000 MIN 1 MAX 10000000 CHANGEABLE_IN_READONLY,
    max_result_bytes = 2684354560 MIN 1 MAX 2684354560 CHANGEABLE_IN_READONLY,
    max_memory_usage = 1073741824 MIN 1 MAX 1073741824 CHANGEABLE_IN_READONLY,
    cast_string_to_dynamic_use_inference CHANGEABLE_IN_READONLY,
    count_distinct_implementation CHANGEABLE_IN_READONLY,
    date_time_input_format CHANGEABLE_IN_READONLY,
    date_time_output_format CHANGEABLE_IN_READONLY,
    extremes CHANGEABLE_IN_READONLY,
    group_by_use_nulls CHANGEABLE_IN_READONLY,
    join_use_nulls CHANGEABLE_IN_READONLY,
    limit CHANGEABLE_IN_READONLY,
    max_block_size CHANGEABLE_IN_READONLY,
    max_bytes_to_read CHANGEABLE_IN_READONLY,
    max_columns_to_read CHANGEABLE_IN_READONLY,
    max_rows_to_group_by CHANGEABLE_IN_READONLY,
    max_rows_to_read CHANGEABLE_IN_READONLY,
    max_threads CHANGEABLE_IN_READONLY,
    offset CHANGEABLE_IN_READONLY,
    output_format_decimal_trailing_zeros CHANGEABLE_IN_READONLY,
    output_format_write_statistics CHANGEABLE_IN_READONLY,
    session_timezone CHANGEABLE_IN_READONLY,
    totals_mode CHANGEABLE_IN_READONLY,
    use_client_time_zone CHANGEABLE_IN_READONLY;
CREATE ROLE OR REPLACE viworks_analyst SETTINGS PROFILE 'viworks_analyst';
GRANT SHOW TABLES, SHOW COLUMNS, SELECT ON viworks.* TO viworks_analyst;
REVOKE SHOW TABLES, SHOW COLUMNS, SELECT ON viworks.audit* FROM viworks_analyst;
REVOKE SELECT(signature, signed_bytes) ON viworks.heartbeats FROM viworks_analyst;
REVOKE SELECT(signature, signed_bytes, public_key) ON viworks.registrations FROM viworks_analyst;
REVOKE SELECT(signature, signed_bytes) ON viworks.sessions FROM viworks_analyst;
REVOKE SELECT(signature, signed_bytes) ON viworks.events FROM viworks_analyst;
REVOKE SELECT(signature, signed_bytes, public_key) ON viworks.clients FROM viworks_analyst;
REVOKE SELECT(public_key) ON viworks.client_keys FROM viworks_analyst;
GRANT SELECT ON system.aggregate_function_combinators TO viworks_analyst;
GRANT SELECT ON system.collations TO viworks_analyst;
GRANT SELECT ON system.columns TO viworks_analyst;
GRANT SELECT ON system.contributors TO viworks_analyst;
GRANT SELECT ON system.data_type_families TO viworks_analyst;
GRANT SELECT ON system.databases TO viworks_analyst;
GRANT SELECT ON system.errors TO viworks_analyst;
GRANT SELECT ON system.formats TO viworks_analyst;
GRANT SELECT ON system.functions TO viworks_analyst;
GRANT SELECT ON system.keywords TO viworks_analyst;
GRANT SELECT ON system.licenses TO viworks_analyst;
GRANT SELECT ON system.numbers TO viworks_analyst;
GRANT SELECT ON system.numbers_mt TO viworks_analyst;
GRANT SELECT ON system.one TO viworks_analyst;
GRANT SELECT ON system.settings TO viworks_analyst;
GRANT SELECT ON system.table_engines TO viworks_analyst;
GRANT SELECT ON system.table_functions TO viworks_analyst;
GRANT SELECT ON system.tables TO viworks_analyst;
GRANT SELECT ON system.time_zones TO viworks_analyst;
GRANT SELECT ON system.zeros TO viworks_analyst;
GRANT SELECT ON system.zeros_mt TO viworks_analyst;
CREATE ROLE OR REPLACE viworks_auditor SETTINGS PROFILE 'viworks_auditor';
GRANT SHOW TABLES, SHOW COLUMNS, SELECT ON viworks.audit* TO viworks_auditor;
GRANT SELECT ON system.aggregate_function_combinators TO viworks_auditor;
GRANT SELECT ON system.collations TO viworks_auditor;
GRANT SELECT ON system.columns TO viworks_auditor;
GRANT SELECT ON system.contributors TO viworks_auditor;
GRANT SELECT ON system.data_type_families TO viworks_auditor;
GRANT SELECT ON system.databases TO viworks_auditor;
GRANT SELECT ON system.errors TO viworks_auditor;
GRANT SELECT ON system.formats TO viworks_auditor;
GRANT SELECT ON system.functions TO viworks_auditor;
GRANT SELECT ON system.keywords TO viworks_auditor;
GRANT SELECT ON system.licenses TO viworks_auditor;
GRANT SELECT ON system.numbers TO viworks_auditor;
GRANT SELECT ON system.numbers_mt TO viworks_auditor;
GRANT SELECT ON system.one TO viworks_auditor;
GRANT SELECT ON system.settings TO viworks_auditor;
GRANT SELECT ON system.table_engines TO viworks_auditor;
GRANT SELECT ON system.table_functions TO viworks_auditor;
GRANT SELECT ON system.tables TO viworks_auditor;
GRANT SELECT ON system.time_zones TO viworks_auditor;
GRANT SELECT ON system.zeros TO viworks_auditor;
GRANT SELECT ON system.zeros_mt TO viworks_auditor;
CREATE ROLE OR REPLACE viworks_admin SETTINGS PROFILE 'viworks_admin';
GRANT SHOW TABLES, SHOW COLUMNS, SELECT ON *.* TO viworks_admin;
CREATE ROW POLICY OR REPLACE viworks_retention ON viworks.heartbeats FOR SELECT USING received_at > now64(3) - INTERVAL 24 HOUR TO viworks_analyst, viworks_auditor, viworks_admin;
CREATE ROW POLICY OR REPLACE viworks_retention ON viworks.heartbeats_now FOR SELECT USING received_at > now64(3) - INTERVAL 24 HOUR TO viworks_analyst, viworks_auditor, viworks_admin;
CREATE ROW POLICY OR REPLACE viworks_retention ON viworks.heartbeat_rollups FOR SELECT USING minute > now64(3) - INTERVAL 90 DAY TO viworks_analyst, viworks_auditor, viworks_admin;
CREATE ROW POLICY OR REPLACE viworks_retention ON viworks.heartbeat_rollups_hourly FOR SELECT USING hour > now64(3) - INTERVAL 90 DAY TO viworks_analyst, viworks_auditor, viworks_admin;
CREATE ROW POLICY OR REPLACE viworks_retention ON viworks.sessions FOR SELECT USING received_at > now64(3) - INTERVAL 90 DAY TO viworks_analyst, viworks_auditor, viworks_admin;
CREATE ROW POLICY OR REPLACE viworks_retention ON viworks.registrations FOR SELECT USING received_at > now64(3) - INTERVAL 1 YEAR TO viworks_analyst, viworks_auditor, viworks_admin;
CREATE ROW POLICY OR REPLACE viworks_retention ON viworks.liveness_transitions FOR SELECT USING timestamp > now64(3) - INTERVAL 90 DAY TO viworks_analyst, viworks_auditor, viworks_admin;
CREATE ROW POLICY OR REPLACE viworks_retention ON viworks.events FOR SELECT USING received_at > now64(3) - INTERVAL 2 YEAR TO viworks_analyst, viworks_auditor, viworks_admin;
CREATE ROW POLICY OR REPLACE viworks_retention ON viworks.alerts FOR SELECT USING timestamp > now64(3) - INTERVAL 2 YEAR TO viworks_analyst, viworks_auditor, viworks_admin;
CREATE ROW POLICY OR REPLACE viworks_retention ON viworks.rejections FOR SELECT USING timestamp > now64(3) - INTERVAL 2 YEAR TO viworks_analyst, viworks_auditor, viworks_admin;
CREATE ROW POLICY OR REPLACE viworks_retention ON viworks.audit_log FOR SELECT USING _day_end > now64(3) - INTERVAL 1 YEAR TO viworks_analyst, viworks_auditor, viworks_admin;
CREATE ROW POLICY OR REPLACE viworks_retention ON viworks.audit_unchained FOR SELECT USING timestamp > now64(3) - INTERVAL 1 YEAR TO viworks_analyst, viworks_auditor, viworks_admin;
CREATE QUOTA OR REPLACE viworks_sql KEYED BY user_name FOR INTERVAL 1 minute MAX queries = 1200, FOR INTERVAL 1 hour MAX execution_time = 3600 TO viworks_analyst, viworks_auditor, viworks_admin;
