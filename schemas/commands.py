"""Orders of administrators to the registry: a ``command`` record in the topic of the registrations, keyed by its subject.

| action | subject | body |
|---|---|---|
| client.approve | client id | key_id? |
| client.revoke, client.reinstate | client id | reason? |
| client.revoke_keys | client id, or ``EVERYBODY`` | reason?; issued_before (ms) for everybody |
| client.allow_key | client id | key_id |
| enrolment.create | token id | secret_hash (hex SHA-256), uses, expires_at (ms), labels |
| enrolment.revoke | token id | |
| policy.set | ``POLICIES`` | policy_id, selector, heartbeat_interval, ... |
| policy.delete | ``POLICIES`` | policy_id |
"""

from __future__ import annotations

EVERYBODY = "*"
"""Not a client id: those begin with a letter or a digit."""

POLICIES = "policies"
"""All policies have one owner, since their versions count together."""
