"""Orders of administrators: ``command`` records, keyed by their subject, or by their ``request_id`` where the topic says so.

In the topic of the registrations they go to the registry:

| action | subject | body |
|---|---|---|
| client.approve | client id | key_id? |
| client.revoke, client.reinstate | client id | reason? |
| client.revoke_keys | client id, or ``EVERYBODY`` | reason?; issued_before (ms) for everybody |
| client.allow_key | client id | key_id |
| client.erase | client id | reason? |
| enrolment.create | token id | secret_hash (hex SHA-256), uses, expires_at (ms), labels |
| enrolment.revoke | token id | |
| policy.set | ``POLICIES`` | policy_id, selector, heartbeat_interval, ... |
| policy.delete | ``POLICIES`` | policy_id |

In the topic of the signals they go to the alert desk:

| action | subject | body |
|---|---|---|
| alert.acknowledge | alert id | reason? |
| alert.silence | silence id | rule?, client_id?, node_id? (one at least); duration_ms; starts_at? (ms); reason? |
| alert.unsilence | silence id | reason? |

In the topic of the warehouse's orders they go to the sink (``sinks.orders``):

| action | subject | body |
|---|---|---|
| retention.run | ``RETENTION`` | |
| hold.set | the hold's name | client_ids (none: everybody's rows), tables (none: all), since_ms?, until_ms?, reason? |
| hold.release | the hold's name | reason? |
| subject.erase | the client's pseudonym in the audit log | reason? |
"""

from __future__ import annotations

EVERYBODY = "*"
"""Not a client id: those begin with a letter or a digit."""

POLICIES = "policies"
"""All policies have one owner, since their versions count together."""

RETENTION = "retention"
"""All tables that have a time."""
