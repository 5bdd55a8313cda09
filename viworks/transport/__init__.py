"""How requests reach the server: HTTP over TLS with pinned keys, attempts and the circuit breaker around it."""

from viworks.transport.exchange import Response, Transport
from viworks.transport.http import HttpTransport
from viworks.transport.pins import Pins
from viworks.transport.resolution import PinnedAddresses, Resolver, SystemResolver
from viworks.transport.retrying import Circuit, RetryingTransport, RetryPolicy
from viworks.transport.shape import TrafficShape
from viworks.transport.tls import CertificateFiles, ClientCertificate, TlsSettings

__all__ = [
    "CertificateFiles",
    "Circuit",
    "ClientCertificate",
    "HttpTransport",
    "PinnedAddresses",
    "Pins",
    "Resolver",
    "Response",
    "RetryPolicy",
    "RetryingTransport",
    "SystemResolver",
    "TlsSettings",
    "TrafficShape",
    "Transport",
]
