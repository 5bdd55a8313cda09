"""The edge's metrics, all of them, in one list. ``docs/operations.md`` has the same list, and a test compares the two."""

from __future__ import annotations

from prometheus_client import Counter, Gauge, Histogram

LATENCY_SAMPLE = 16
"""Every so manieth request is timed: two readings of the clock and a histogram cost more than a heartbeat's decoding."""

ANSWERS = Counter("viworks_edge_answers", "Answers of the edge.", ["endpoint", "status"])
"""By route and HTTP status."""

TAMPER_EVENTS = Counter(
    "viworks_edge_tamper_events", "Security events that the edge made of refusals.", ["reason", "outcome"]
)
"""By the refusal's reason; ``written``, or ``suppressed`` because there were too many a second."""
FRONT_REFUSALS = Counter("viworks_edge_front_refusals", "Requests refused before they reached a route.", ["reason"])
"""By the problem's slug: malformed HTTP, time-outs, headers too large, certificates, shedding, limits by address."""

CONNECTIONS = Gauge("viworks_edge_connections", "Open connections, those in a TLS handshake too.")
"""Of all listeners of the process."""

CONNECTIONS_REFUSED = Counter("viworks_edge_connections_refused", "Connections closed as soon as accepted.", ["reason"])
"""``address`` where one address had its share, ``total`` where the process had all it takes."""

HANDSHAKES_FAILED = Counter("viworks_edge_handshakes_failed", "TLS handshakes that failed.", ["reason"])
"""``certificate`` (foreign, expired, revoked), ``timeout``, or ``other``."""

CONNECTIONS_ENDED = Counter("viworks_edge_connections_ended", "Connections that the edge ended.", ["reason"])
"""``request`` (too slow to send one), ``idle`` (nothing since the last answer), ``unread`` (answers not read)."""

IN_FLIGHT_BYTES = Gauge("viworks_edge_in_flight_bytes", "Memory of requests that wait for their answer.")
"""Bodies so far, and a fixed share for each head."""

RATE_LIMITED = Counter("viworks_edge_rate_limited", "Requests over a budget.", ["budget"])
"""``client``, ``critical-events``, ``address`` or ``registrations``."""

TLS_RELOADS = Counter("viworks_edge_tls_reloads", "Readings of changed TLS files.", ["outcome"])
"""``ok``, or ``kept`` where the new files could not be used and the old ones stay in force."""
LATENCY = Histogram(
    "viworks_edge_latency_seconds",
    f"Time from a request's head to its answer; one request in {LATENCY_SAMPLE} is timed.",
    ["endpoint"],
    buckets=(0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10),
)
"""By route. The wait for Kafka's acknowledgement is in it."""

REJECTIONS = Counter("viworks_edge_rejections", "Requests and batch lines refused for good.", ["endpoint", "reason"])
"""By route and problem type. What may succeed later (503) is not among them."""

UNACKNOWLEDGED_BYTES = Gauge("viworks_edge_unacknowledged_bytes", "Records that Kafka has not acknowledged yet.")
"""Near ``VIWORKS_MAX_UNACKNOWLEDGED_BYTES`` the edge answers 503."""

UNACKNOWLEDGED_AGE = Gauge("viworks_edge_unacknowledged_age_seconds", "Age of the oldest record not acknowledged yet.")
"""Above ``VIWORKS_PRODUCE_TIMEOUT_S`` the broker counts as away."""

BATCH_RECORDS = Histogram(
    "viworks_edge_batch_records",
    "Records in a batch to Kafka.",
    buckets=(1, 2, 5, 10, 25, 50, 100, 250, 500, 1000, 2500, 5000),
)
"""Of one partition each; the number of batches is its count."""

BATCH_BYTES = Histogram(
    "viworks_edge_batch_bytes", "Bytes in a batch to Kafka.", buckets=tuple(256 * 4**power for power in range(8))
)
"""With the overhead that each record is reckoned at."""

REGISTRY_WAIT = Histogram(
    "viworks_edge_registry_wait_seconds",
    "Wait for the registry's verdict.",
    ["outcome"],
    buckets=(0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10),
)
"""By the verdict's outcome; ``none`` where it did not come in time."""

CACHED_API_KEYS = Gauge("viworks_edge_cached_api_keys", "API keys that are kept opened.")
"""Opening one costs as much as half a signature's verification."""

SEALED_VALUES = Counter("viworks_edge_sealed_values", "Values that the edge itself sealed for the SOC.", ["what"])
"""``member`` for sensitive plaintext of clients that do not seal it themselves, ``signed_bytes`` for the proofs."""

UNKNOWN_MEMBERS = Counter("viworks_edge_unknown_members", "Members that the protocol does not name.", ["message"])
"""By the message's kind. They stay in the signed bytes and are ignored otherwise."""
