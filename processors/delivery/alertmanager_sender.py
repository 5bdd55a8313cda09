"""Alertmanager: each alert as it comes, and once a minute all that fire."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Sequence

from processors.clock import Clock
from processors.delivery.alert import Alert
from processors.delivery.alertmanager import Firing, FiringBook, postable
from processors.delivery.http_post import Answer, HttpPost
from processors.delivery.receivers import Receiver
from processors.delivery.sender import Sender

_PATH = "/api/v2/alerts"
_CHUNK = 200


class AlertmanagerSender(Sender):
    """One request at a time, so that a repetition cannot overtake the end of what it repeats."""

    def __init__(self, receiver: Receiver, clock: Clock) -> None:
        super().__init__(receiver, clock)
        self.book: FiringBook = FiringBook(receiver.filters)
        token = next(iter(receiver.secrets), None)
        self._headers = {"Authorization": f"Bearer {token.decode()}"} if token else {}
        self._http = HttpPost(receiver.url.rstrip("/") + _PATH, receiver.timeout_s, receiver.ca_file, clock)
        self._turn = asyncio.Lock()

    def wants(self, alert: Alert) -> bool:
        if self.book.concerns(alert):
            return True
        self.book.settle(alert)
        return False

    async def send(self, alert: Alert) -> Answer:
        async with self._turn:
            answer = await self._post([self.book.note(alert)])
            self.book.settle(alert)
            return answer

    def give_up(self, alert: Alert) -> None:
        self.book.settle(alert)

    async def resend(self) -> None:
        for ids in self.book.chunks(_CHUNK):
            async with self._turn:
                if firing := self.book.still(ids):
                    await self._post(firing)

    async def close(self) -> None:
        await self._http.close()

    async def _post(self, firing: Sequence[Firing]) -> Answer:
        now_ms, url = self.clock(), self.receiver.generator_url
        body = json.dumps([postable(one, now_ms, url) for one in firing], separators=(",", ":"))
        return await self._http.post(body.encode(), self._headers)
