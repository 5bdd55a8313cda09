"""How one kind of receiver is spoken to. A sender makes single attempts; when to make them is the courier's matter."""

from __future__ import annotations

from processors.clock import Clock
from processors.delivery.alert import Alert
from processors.delivery.alertmanager import FiringBook
from processors.delivery.http_post import Answer
from processors.delivery.receivers import Receiver


class Sender:
    """Makes attempts at one receiver.

    Attributes:
        book: what fires, for a receiver that wants to hear of it again and again; else None.
    """

    book: FiringBook | None = None

    def __init__(self, receiver: Receiver, clock: Clock) -> None:
        self.receiver = receiver
        self.clock = clock

    def wants(self, alert: Alert) -> bool:
        """Whether the receiver is to get it. Asked in the order of an alert's records."""
        return not alert.kept_back and self.receiver.filters.passes(alert)

    async def send(self, alert: Alert) -> Answer:
        """Make one attempt, in bounded time. Raises a NotDelivered where the receiver did not take the alert."""
        raise NotImplementedError

    def give_up(self, alert: Alert) -> None:
        """Nobody will try it again."""

    async def resend(self) -> None:
        """Say again what fires. Raises a NotDelivered."""

    async def close(self) -> None:
        """Release connections."""
