"""The client library of the ViWorkS Client Integration Protocol.

identity = KeyStore.open("laptop-7.keys", "laptop-7")
async with Client("https://ingest.example:8443", identity, device=device) as client:
    await client.register()
    await client.heartbeat(Metrics(uptime=12, memory_usage=41.0, cpu_usage=3.5, network_activity=80))
    await client.report_event("authentication_failure", "medium", "wrong password, third time")
"""

from schemas.messages import (
    ClientConfig,
    ClientStatus,
    PolicySet,
    RegistrationAnswer,
    SecurityEventType,
    SecuritySeverity,
    SessionStatus,
    SessionType,
)
from viworks.client import Client, Device, Metrics
from viworks.errors import AnswerNotTrusted, ClientError, DataTampered, KeyFileError, Refused, Unreachable
from viworks.identity import Identity
from viworks.keys import KeyringProtector, KeyStore, MachineProtector, PassphraseProtector
from viworks.transport import HttpTransport, Response, Transport

__all__ = [
    "AnswerNotTrusted",
    "Client",
    "ClientConfig",
    "ClientError",
    "ClientStatus",
    "DataTampered",
    "Device",
    "HttpTransport",
    "Identity",
    "KeyFileError",
    "KeyStore",
    "KeyringProtector",
    "MachineProtector",
    "Metrics",
    "PassphraseProtector",
    "PolicySet",
    "Refused",
    "RegistrationAnswer",
    "Response",
    "SecurityEventType",
    "SecuritySeverity",
    "SessionStatus",
    "SessionType",
    "Transport",
    "Unreachable",
]
