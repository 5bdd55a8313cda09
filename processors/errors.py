"""The error tree of the processors.

    ProcessorError
    ├── TopicsMissing       the broker lacks topics of the contract; they are created before a worker starts
    ├── RecoveryStalled     the tables were not recovered in time; retryable by a new start
    ├── DeliveryFailed      Kafka did not acknowledge in time; retryable, what led to it is not acknowledged either
    ├── AuthorityUnusable   the certificate authority's files cannot be read
    ├── RulesInvalid        the rules cannot be used; the text names each fault with its line
    ├── CertificateNotIssued  the authority did not sign; the client is told so
    ├── WorkerStalled       nothing is committed although there is something to read; retryable by a new start
    └── WorkerFailed        the worker crashed; its cause is chained

All but CertificateNotIssued end the worker; a new one reads again what was not acknowledged.
"""

from __future__ import annotations

from collections.abc import Sequence


class ProcessorError(Exception):
    """Base of every error that this package raises."""


class TopicsMissing(ProcessorError):
    """The broker lacks topics of the contract."""


class RecoveryStalled(ProcessorError):
    """The worker did not join its group and recover its tables in time."""


class DeliveryFailed(ProcessorError):
    """Kafka did not acknowledge what a decision led to, so the decision's input is read again."""


class WorkerFailed(ProcessorError):
    """The worker crashed."""


class WorkerStalled(ProcessorError):
    """The worker's committed offset stands still while there is lag."""


class AuthorityUnusable(ProcessorError):
    """The certificate authority's files cannot be read."""


class RulesInvalid(ProcessorError):
    """The rules cannot be used. The text has a line ``name:line: sentence`` for each fault."""

    def __init__(self, faults: Sequence[str]) -> None:
        super().__init__("\n".join(faults))
        self.faults = tuple(faults)


class CertificateNotIssued(ProcessorError):
    """The authority did not sign a request."""
