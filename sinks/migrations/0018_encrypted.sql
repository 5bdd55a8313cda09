-- All that holds data goes to the encrypted disk: so far it was rollups, sessions and liveness only. A table cannot leave a storage
-- policy's disks behind, so each is copied into a new one, which takes its name. Each statement may run again: what an interrupted
-- run left is dropped first, and what is live is whole at every moment.

DROP TABLE IF EXISTS viworks._encrypted_heartbeats SYNC;
CREATE TABLE viworks._encrypted_heartbeats AS viworks.heartbeats SETTINGS storage_policy = 'encrypted';
INSERT INTO viworks._encrypted_heartbeats SELECT * FROM viworks.heartbeats SETTINGS final = 0, optimize_on_insert = 0, max_partitions_per_insert_block = 0;
EXCHANGE TABLES viworks._encrypted_heartbeats AND viworks.heartbeats;
DROP TABLE viworks._encrypted_heartbeats SYNC;

DROP TABLE IF EXISTS viworks._encrypted_heartbeats_now SYNC;
CREATE TABLE viworks._encrypted_heartbeats_now AS viworks.heartbeats_now SETTINGS storage_policy = 'encrypted';
INSERT INTO viworks._encrypted_heartbeats_now SELECT * FROM viworks.heartbeats_now SETTINGS final = 0, optimize_on_insert = 0, max_partitions_per_insert_block = 0;
EXCHANGE TABLES viworks._encrypted_heartbeats_now AND viworks.heartbeats_now;
DROP TABLE viworks._encrypted_heartbeats_now SYNC;

DROP TABLE IF EXISTS viworks._encrypted_registrations SYNC;
CREATE TABLE viworks._encrypted_registrations AS viworks.registrations SETTINGS storage_policy = 'encrypted';
INSERT INTO viworks._encrypted_registrations SELECT * FROM viworks.registrations SETTINGS final = 0, optimize_on_insert = 0, max_partitions_per_insert_block = 0;
EXCHANGE TABLES viworks._encrypted_registrations AND viworks.registrations;
DROP TABLE viworks._encrypted_registrations SYNC;

DROP TABLE IF EXISTS viworks._encrypted_events SYNC;
CREATE TABLE viworks._encrypted_events AS viworks.events SETTINGS storage_policy = 'encrypted';
INSERT INTO viworks._encrypted_events SELECT * FROM viworks.events SETTINGS final = 0, optimize_on_insert = 0, max_partitions_per_insert_block = 0;
EXCHANGE TABLES viworks._encrypted_events AND viworks.events;
DROP TABLE viworks._encrypted_events SYNC;

DROP TABLE IF EXISTS viworks._encrypted_alerts SYNC;
CREATE TABLE viworks._encrypted_alerts AS viworks.alerts SETTINGS storage_policy = 'encrypted';
INSERT INTO viworks._encrypted_alerts SELECT * FROM viworks.alerts SETTINGS final = 0, optimize_on_insert = 0, max_partitions_per_insert_block = 0;
EXCHANGE TABLES viworks._encrypted_alerts AND viworks.alerts;
DROP TABLE viworks._encrypted_alerts SYNC;

DROP TABLE IF EXISTS viworks._encrypted_rejections SYNC;
CREATE TABLE viworks._encrypted_rejections AS viworks.rejections SETTINGS storage_policy = 'encrypted';
INSERT INTO viworks._encrypted_rejections SELECT * FROM viworks.rejections SETTINGS final = 0, optimize_on_insert = 0, max_partitions_per_insert_block = 0;
EXCHANGE TABLES viworks._encrypted_rejections AND viworks.rejections;
DROP TABLE viworks._encrypted_rejections SYNC;

DROP TABLE IF EXISTS viworks._encrypted_audit_log SYNC;
CREATE TABLE viworks._encrypted_audit_log AS viworks.audit_log SETTINGS storage_policy = 'encrypted';
INSERT INTO viworks._encrypted_audit_log SELECT * FROM viworks.audit_log SETTINGS final = 0, optimize_on_insert = 0, max_partitions_per_insert_block = 0;
EXCHANGE TABLES viworks._encrypted_audit_log AND viworks.audit_log;
DROP TABLE viworks._encrypted_audit_log SYNC;

DROP TABLE IF EXISTS viworks._encrypted_audit_checkpoints SYNC;
CREATE TABLE viworks._encrypted_audit_checkpoints AS viworks.audit_checkpoints SETTINGS storage_policy = 'encrypted';
INSERT INTO viworks._encrypted_audit_checkpoints SELECT * FROM viworks.audit_checkpoints SETTINGS final = 0, optimize_on_insert = 0, max_partitions_per_insert_block = 0;
EXCHANGE TABLES viworks._encrypted_audit_checkpoints AND viworks.audit_checkpoints;
DROP TABLE viworks._encrypted_audit_checkpoints SYNC;

DROP TABLE IF EXISTS viworks._encrypted_audit_unchained SYNC;
CREATE TABLE viworks._encrypted_audit_unchained AS viworks.audit_unchained SETTINGS storage_policy = 'encrypted';
INSERT INTO viworks._encrypted_audit_unchained SELECT * FROM viworks.audit_unchained SETTINGS final = 0, optimize_on_insert = 0, max_partitions_per_insert_block = 0;
EXCHANGE TABLES viworks._encrypted_audit_unchained AND viworks.audit_unchained;
DROP TABLE viworks._encrypted_audit_unchained SYNC;

DROP TABLE IF EXISTS viworks._encrypted_clients SYNC;
CREATE TABLE viworks._encrypted_clients AS viworks.clients SETTINGS storage_policy = 'encrypted';
INSERT INTO viworks._encrypted_clients SELECT * FROM viworks.clients SETTINGS final = 0, optimize_on_insert = 0, max_partitions_per_insert_block = 0;
EXCHANGE TABLES viworks._encrypted_clients AND viworks.clients;
DROP TABLE viworks._encrypted_clients SYNC;

DROP TABLE IF EXISTS viworks._encrypted_client_keys SYNC;
CREATE TABLE viworks._encrypted_client_keys AS viworks.client_keys SETTINGS storage_policy = 'encrypted';
INSERT INTO viworks._encrypted_client_keys SELECT * FROM viworks.client_keys SETTINGS final = 0, optimize_on_insert = 0, max_partitions_per_insert_block = 0;
EXCHANGE TABLES viworks._encrypted_client_keys AND viworks.client_keys;
DROP TABLE viworks._encrypted_client_keys SYNC;
