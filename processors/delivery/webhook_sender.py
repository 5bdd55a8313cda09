"""Webhooks by the Standard Webhooks convention."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

from processors.clock import Clock
from processors.delivery import ocsf, signing
from processors.delivery.alert import Alert
from processors.delivery.http_post import Answer, HttpPost
from processors.delivery.receivers import OCSF, Receiver
from processors.delivery.sender import Sender


class WebhookSender(Sender):
    """Signs each attempt anew, since the signature covers its time; the id stays, so that receivers know a repetition."""

    def __init__(self, receiver: Receiver, clock: Clock, product_version: str) -> None:
        super().__init__(receiver, clock)
        self._version = product_version
        self._http = HttpPost(receiver.url, receiver.timeout_s, receiver.ca_file, clock)

    async def send(self, alert: Alert) -> Answer:
        content = ocsf.detection_finding(alert, self._version) if self.receiver.format == OCSF else plain(alert)
        body = json.dumps(content, separators=(",", ":")).encode()
        headers = signing.headers(alert.delivery_id, self.clock() // 1000, body, self.receiver.secrets)
        return await self._http.post(body, headers)

    async def close(self) -> None:
        await self._http.close()


def plain(alert: Alert) -> dict[str, Any]:
    """The record itself, in the payload structure that Standard Webhooks recommends."""
    time = datetime.fromtimestamp(alert.timestamp / 1000, UTC).isoformat(timespec="milliseconds")
    return {"type": f"alert.{alert.status}", "timestamp": time.replace("+00:00", "Z"), "data": alert._asdict()}
