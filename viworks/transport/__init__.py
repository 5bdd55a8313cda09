"""How requests reach the server: HTTP over TLS with pinned keys, attempts and the circuit breaker around it."""

from viworks.transport.exchange import Response, Transport
from viworks.transport.http import HttpTransport
from viworks.transport.retrying import Circuit, RetryingTransport, RetryPolicy

__all__ = ["Circuit", "HttpTransport", "Response", "RetryPolicy", "RetryingTransport", "Transport"]
