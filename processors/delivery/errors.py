"""The error tree of the delivery. No message names a URL, a secret or what an alert says.

ProcessorError
└── DeliveryError
    ├── ReceiversInvalid   the receivers file does not fit; ``faults`` has each with file and line
    ├── ConsumerStalled    Kafka has alerts and none come; retryable with a new consumer
    ├── DeadLetterFailed   Kafka did not take a dead letter in time; retryable
    └── NotDelivered       one attempt at one alert failed; ``reason`` is a word for metrics and dead letters
        ├── Unavailable    retryable, not before ``retry_after_s`` where the receiver says so
        ├── Refused        the receiver will never take it
        └── Gone           the receiver wants no more alerts at all (410)
"""

from __future__ import annotations

from collections.abc import Sequence

from processors.errors import ProcessorError


class DeliveryError(ProcessorError):
    """Base of every error of the delivery."""


class ReceiversInvalid(DeliveryError):
    """The receivers file does not fit."""

    def __init__(self, faults: Sequence[str]) -> None:
        super().__init__("the receivers file does not fit: " + "; ".join(faults))
        self.faults = tuple(faults)


class ConsumerStalled(DeliveryError):
    """A consumer brings nothing while Kafka has more."""


class DeadLetterFailed(DeliveryError):
    """Kafka did not acknowledge a dead letter."""


class NotDelivered(DeliveryError):
    """An attempt failed. ``reason`` is short and of a bounded set: an HTTP status, or the class of an error."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class Unavailable(NotDelivered):
    """Worth another attempt."""

    def __init__(self, reason: str, retry_after_s: float | None = None) -> None:
        super().__init__(reason)
        self.retry_after_s = retry_after_s


class Refused(NotDelivered):
    """Another attempt would be refused too."""


class Gone(NotDelivered):
    """The receiver asked to be left alone."""
