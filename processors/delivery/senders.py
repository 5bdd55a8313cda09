"""The one place that chooses a sender for a receiver."""

from __future__ import annotations

import socket
from importlib.metadata import version

from processors.clock import Clock
from processors.delivery.alertmanager_sender import AlertmanagerSender
from processors.delivery.receivers import ALERTMANAGER, WEBHOOK, Receiver
from processors.delivery.sender import Sender
from processors.delivery.syslog_sender import SyslogSender
from processors.delivery.webhook_sender import WebhookSender


def sender_of(receiver: Receiver, clock: Clock) -> Sender:
    """A sender for the receiver's kind."""
    if receiver.kind == WEBHOOK:
        return WebhookSender(receiver, clock, version("viworks"))
    if receiver.kind == ALERTMANAGER:
        return AlertmanagerSender(receiver, clock)
    return SyslogSender(receiver, clock, version("viworks"), socket.gethostname())
