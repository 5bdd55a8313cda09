"""The edge's metrics, all of them, in one list."""

from __future__ import annotations

from prometheus_client import Counter, Gauge

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
