"""The parts of one client, put together: what ``Client`` calls, without its surface."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import TypeVar

from schemas.messages import ClientConfig, HeartbeatAccepted, PolicySet, RegistrationAnswer
from schemas.sealing import SealingKey
from viworks import answers, local_mode
from viworks.delivery import Delivery
from viworks.drafts import Draft, Installation
from viworks.errors import Refused, Unreachable
from viworks.findings import Finding, FindingKind
from viworks.keys import KeyStore
from viworks.keys.certificates import renew_certificate, renewal_due_ms
from viworks.keys.rotation import rotate_key, settle_rotation
from viworks.local_mode import Memory
from viworks.reporting import Reporting, finding_of
from viworks.server_clock import TOLERATED_SKEW_MS
from viworks.server_link import ServerLink
from viworks.spool import Kind, Spool, SpoolDesk
from viworks.standing import Standing
from viworks.timing import Timing
from viworks.transport import RetryingTransport, RetryPolicy, Transport

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Choices:
    """What the caller may choose; see ``Client``."""

    sealing_key: SealingKey | None = None
    enrolment_token: str | None = None
    wants_certificate: bool = False
    retries: RetryPolicy | None = None


class Machinery:
    """One client's parts. ``away`` says whether the server did not answer the last time."""

    def __init__(
        self,
        transport: Transport,
        keys: KeyStore,
        installation: Installation,
        timing: Timing,
        spool: Spool | None,
        choices: Choices,
    ) -> None:
        """Raises SpoolFailed."""
        memory = local_mode.load(spool) if spool else Memory()
        self.away = False
        self.timing = timing
        self._keys = keys
        self._skew_noted = False
        sender = RetryingTransport(
            transport, choices.retries or RetryPolicy(attempts=1), timing=timing, on_failure=self._on_failure
        )
        self.link = ServerLink(
            sender,
            keys,
            installation,
            timing,
            enrolment_token=choices.enrolment_token,
            wants_certificate=choices.wants_certificate,
            on_registered=self._on_registered,
        )
        self.desk = SpoolDesk(spool) if spool else None
        self.reporting = Reporting(
            keys.client_id, self.desk, memory.book, self.link.clock, lambda draft: self.standing.protected("events", draft)
        )
        self.standing = Standing(memory, choices.sealing_key, self.reporting.note, self.link.clock)
        self._delivery = Delivery(self.desk, self.link, timing, lambda: self.standing.protection) if self.desk else None
        self._delivering: asyncio.Task[None] | None = None
        self._recall(memory)

    async def submit(self, kind: Kind, draft: Draft) -> None:
        """Accept a message: on the disk when this returns, or, without a spool, at the server.

        Raises:
            SpoolFull, SpoolFailed: it is not accepted.
            Unreachable, Refused, AnswerNotTrusted, NotApproved: without a spool.
        """
        if not self.standing.policy.reports(kind):
            return
        if self.desk is not None:
            await self.desk.append(self.standing.protected(kind, draft))
            self.deliver()
            return
        await self.registered()  # its answer names the key to seal for and the privacy mode
        protection = self.standing.protection
        message = protection.cut(kind, protection.sealed(kind, draft))
        await self._answered(self.link.send(kind, lambda: message))

    def deliver(self) -> None:
        """Bring what is in the spool to the server, from now on."""
        if self._delivery is None:
            return
        self._delivery.wake()
        if self._delivering is None:
            self._delivering = asyncio.create_task(self._delivery.run())

    async def flush(self) -> bool:
        """Whether the spool is empty, after an attempt to bring all to the server. Raises SpoolFailed."""
        if self._delivery is None:
            return True
        await self.tidy()
        return await self._delivery.flush()

    async def registered(self) -> RegistrationAnswer:
        """The registration; made where there is none. A rotation of the key whose end is not known is settled first."""
        if self.link.registration is None and self._keys.pending_identity is not None:
            await self._answered(settle_rotation(self._keys, self.link, self.link.clock))
        return await self._answered(self.link.registered())

    async def register(self) -> RegistrationAnswer:
        """Register anew. Raises Unreachable, Refused, AnswerNotTrusted, NotApproved."""
        answer = await self._answered(self.link.register())
        await self._save()
        return answer

    async def beat(self, make: Callable[[], Draft]) -> int:
        """Send a heartbeat; the version of the policies that its answer names."""
        await self.registered()
        response = await self._answered(self.link.send("heartbeat", make))
        return answers.read(response.body, HeartbeatAccepted).policy_version

    async def config(self) -> ClientConfig:
        """Fetch the configuration."""
        await self.registered()
        config = self.standing.take_config(await self._answered(self.link.get("config")))
        await self._save()
        return config

    async def policies(self, named: int = 0) -> PolicySet:
        """Fetch the policies, unless they are still those in force."""
        await self.registered()
        response = await self._answered(self.link.get("policies", self.standing.policy.etag))
        document = self.standing.take_policies(response, named)
        await self._save()
        return document

    async def rotate(self) -> None:
        """A new key. Raises as ``rotate_key`` of ``viworks.keys``."""
        await self.registered()
        try:
            await rotate_key(self._keys, self.link, self.link.clock)
        except Refused as refusal:
            if refusal.type != answers.REQUEST_REPLAYED:
                raise
            await rotate_key(self._keys, self.link, self.link.clock)
        self.link.rotation_due = False

    async def renew(self) -> None:
        """A new TLS key and certificate. Raises as ``renew_certificate`` of ``viworks.keys``."""
        await self.registered()
        try:
            await renew_certificate(self._keys, self.link, self.link.clock)
        except Refused as refusal:
            if refusal.type != answers.REQUEST_REPLAYED:
                raise
            await renew_certificate(self._keys, self.link, self.link.clock)

    def rotation_is_due(self) -> bool:
        """Whether the server or a policy asks for a new key."""
        policy = self.standing.policy
        return self.link.rotation_due or policy.key_too_old(self._keys.key_since_ms, self.link.clock())

    def renewal_is_due(self, jitter: float) -> bool:
        """Whether the certificate is at two thirds of its life and a part of the last third, ``jitter`` (0 to 1)."""
        pair = self._keys.tls
        return pair is not None and self.link.clock() >= renewal_due_ms(pair.chain_pem, jitter)

    async def tidy(self) -> None:
        """Write down what is unsaved and what was found. Raises SpoolError."""
        await self._save()
        if await self.reporting.write():
            self.deliver()

    async def close(self) -> None:
        """End what runs and release everything; what is in the spool stays there."""
        if self._delivering is not None:
            self._delivering.cancel()
            await asyncio.gather(self._delivering, return_exceptions=True)
        try:
            await self.tidy()
        finally:
            await self.link.close()
            if self.desk is not None:
                await self.desk.close()

    async def _save(self) -> None:
        desk, unsaved = self.desk, self.standing.unsaved
        if desk is not None and unsaved:
            await desk.run(lambda: desk.spool.remember(unsaved))
        if self.standing.unsaved is unsaved:
            self.standing.unsaved = {}

    async def _answered(self, call: Awaitable[T]) -> T:
        """What a call of the server gives; by the way, whether it is there and what its answer says of the clock."""
        try:
            result = await call
        except Unreachable:
            raise
        except Refused as refusal:
            self._heard()
            if refusal.type == answers.CERTIFICATE_REQUIRED:
                self.reporting.note(Finding(FindingKind.CERTIFICATE_REQUIRED, "the server wants the client's certificate"))
            raise
        self._heard()
        return result

    def _heard(self) -> None:
        self.away = False
        skew_s = self.link.skew_ms // 1000
        if skew_s and not self._skew_noted:
            text = f"the clock is off by more than {TOLERATED_SKEW_MS // 1000} s; messages carry the server's time"
            self.reporting.note(Finding(FindingKind.CLOCK_SKEW, f"{text} ({skew_s:+} s)"))
        self._skew_noted = bool(skew_s)

    def _on_failure(self, error: Unreachable) -> None:
        self.away = True
        if (finding := finding_of(error)) is not None:
            self.reporting.note(finding)

    def _on_registered(self, answer: RegistrationAnswer) -> None:
        self.standing.registered(answer)
        self.link.protection = self.standing.protection

    def _recall(self, memory: Memory) -> None:
        self.link.protection = self.standing.protection
        for finding in memory.findings:
            self.reporting.note(finding)
        for found in self._keys.findings:
            self.reporting.note(Finding(FindingKind(found.kind.value), found.text))
        if memory.terms is not None and self._keys.api_key is not None:
            key = self._keys.api_key
            self.link.registration = RegistrationAnswer(
                client_id=self._keys.client_id,
                api_key=key.text,
                expires_at=key.expires_at_ms,
                config=memory.terms.config,
            )
