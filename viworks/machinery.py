"""The parts of one client, put together: what ``Client`` calls, without its surface."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import TypeVar

from schemas.messages import ClientConfig, HeartbeatAccepted, PolicySet, RegistrationAnswer
from schemas.sealing import SealingKey
from viworks import answers, local_mode
from viworks.breaker import within
from viworks.delivery import Delivery
from viworks.drafts import Draft, Installation
from viworks.errors import ClientError, Refused, Unreachable
from viworks.findings import Finding, FindingKind
from viworks.keys import KeyStore
from viworks.keys.rotation import rotate_key, settle_rotation
from viworks.local_mode import Memory
from viworks.reporting import Reporting, finding_of
from viworks.server_clock import TOLERATED_SKEW_MS
from viworks.server_link import ServerLink
from viworks.spool import Kind, Spool, SpoolDesk
from viworks.standing import Standing
from viworks.tasks import say_if_failed
from viworks.timing import Timing
from viworks.transport import Circuit, RetryingTransport, RetryPolicy, Transport

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Choices:
    """What the caller may choose; see ``Client``."""

    sealing_key: SealingKey | None = None
    enrolment_token: str | None = None
    wants_certificate: bool = False
    retries: RetryPolicy | None = None


class Machinery:
    """One client's parts.

    Attributes:
        away: whether the server did not answer the last time.
        circuit: the breaker of all its requests; it follows the heartbeat interval in force.
    """

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
        self.away = self._spoken = self._closed = False
        self.timing = timing
        self._keys = keys
        self._skew_noted = False
        retries = choices.retries or RetryPolicy(attempts=1)
        self.circuit = Circuit(lambda: within(retries.breaker, self.standing.policy.interval_s), timing)
        self.link = ServerLink(
            RetryingTransport(transport, retries, timing=timing, on_failure=self._on_failure, circuit=self.circuit),
            keys,
            installation,
            timing,
            enrolment_token=choices.enrolment_token,
            wants_certificate=choices.wants_certificate,
            observer=self,
        )
        self.desk = SpoolDesk(spool) if spool else None
        self.reporting = Reporting(
            keys.client_id, self.desk, memory.book, self.link.clock, lambda draft: self.standing.protected("events", draft)
        )
        self.standing = Standing(memory, choices.sealing_key, self.reporting.note, self.link.clock)
        self._delivery = self._delivery_from(self.desk) if self.desk else None
        self._delivering: asyncio.Task[None] | None = None
        self._recall(memory)

    def heard(self) -> None:
        """The server has answered: it is there, and its answer says what the own clock is worth."""
        self.away, self._spoken = False, True
        skew_s = self.link.skew_ms // 1000
        if skew_s and not self._skew_noted:
            text = f"the clock is off by more than {TOLERATED_SKEW_MS // 1000} s; messages carry the server's time"
            self.reporting.note(Finding(FindingKind.CLOCK_SKEW, f"{text} ({skew_s:+} s)"))
        self._skew_noted = bool(skew_s)

    def refused(self, refusal: Refused) -> None:
        """The server has refused a request."""
        if refusal.type == answers.CERTIFICATE_REQUIRED:
            self.reporting.note(Finding(FindingKind.CERTIFICATE_REQUIRED, "the server wants the client's certificate"))

    def registered(self, answer: RegistrationAnswer) -> None:
        """The server has registered the client. Raises AnswerNotTrusted."""
        self.standing.registered(answer)
        self.link.protection = self.standing.protection

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
        await self.registration()  # its answer names the key to seal for and the privacy mode
        protection = self.standing.protection
        message = protection.cut(kind, protection.sealed(kind, draft))
        await self.link.send(kind, lambda: message)

    def deliver(self) -> None:
        """Bring what is in the spool to the server, from now on."""
        if self._delivery is None:
            return
        self._delivery.wake()
        if self._closed:
            return
        if self._delivering is None or self._delivering.done():
            self._delivering = asyncio.create_task(self._delivery.run(self.tidy))
            self._delivering.add_done_callback(say_if_failed)

    async def flush(self) -> bool:
        """Whether the spool is empty, after an attempt to bring all to the server. Raises SpoolFailed."""
        if self._delivery is None:
            return True
        await self.tidy()
        return await self._delivery.flush()

    async def deliver_last(self) -> None:
        """One attempt before the end, so that what was said last need not wait for the next start; not where the server is
        known to be away, or has asked for rest."""
        delivery = self._delivery
        if delivery is None or self.away or self.timing.monotonic_ms() < delivery.rest_until_ms:
            return
        with contextlib.suppress(ClientError):
            await self.flush()

    async def registration(self) -> RegistrationAnswer:
        """The registration; made where there is none. A rotation of the key whose end is not known is settled first."""
        if self.link.registration is None:
            await self._settle_rotation()
        return await self.link.registered()

    async def register(self) -> RegistrationAnswer:
        """Register anew. Raises Unreachable, Refused, AnswerNotTrusted, NotApproved."""
        before = self.link.registration
        await self._settle_rotation()
        answer = self.link.registration
        if answer is None or answer is before:  # else that has settled it, and at once again it would be a replay
            async with self.link.changing_keys:
                answer = await self.link.register()
        await self._save()
        return answer

    async def beat(self, make: Callable[[], Draft]) -> int:
        """Send a heartbeat; the version of the policies that its answer names."""
        await self.registration()
        response = await self.link.send("heartbeat", make)
        return answers.read(response.body, HeartbeatAccepted).policy_version

    async def config(self) -> ClientConfig:
        """Fetch the configuration."""
        await self.registration()
        config = self.standing.take_config(await self.link.get("config"))
        await self._save()
        return config

    async def policies(self, named: int = 0) -> PolicySet:
        """Fetch the policies, unless they are still those in force."""
        await self.registration()
        response = await self.link.get("policies", self.standing.policy.etag)
        document = self.standing.take_policies(response, named)
        await self._save()
        return document

    async def rotate(self) -> None:
        """A new key. Raises as ``rotate_key`` of ``viworks.keys``."""
        await self.registration()
        async with self.link.changing_keys:
            await self._once_more(lambda: rotate_key(self._keys, self.link, self.link.clock))
        self.link.rotation_due = False

    async def renew(self) -> None:
        """A new TLS key and certificate. Raises as ``renew_certificate`` of ``viworks.keys``."""
        from viworks.keys.certificates import renew_certificate  # X.509 is slow to import

        await self.registration()
        async with self.link.changing_keys:
            await self._once_more(lambda: renew_certificate(self._keys, self.link, self.link.clock))

    def rotation_is_due(self) -> bool:
        """Whether the server or a policy asks for a new key."""
        policy = self.standing.policy
        return self.link.rotation_due or policy.key_too_old(self._keys.key_since_ms, self.link.clock())

    def renewal_is_due(self, jitter: float) -> bool:
        """Whether the certificate is at two thirds of its life and a part of the last third, ``jitter`` (0 to 1)."""
        from viworks.keys.certificates import renewal_due_ms

        pair = self._keys.tls
        return pair is not None and self.link.clock() >= renewal_due_ms(pair.chain_pem, jitter)

    async def tidy(self) -> None:
        """Write down what is unsaved and what was found. Raises SpoolError."""
        await self._save()
        if await self.reporting.write(losses=self._spoken and not self.away):
            self.deliver()

    async def close(self) -> None:
        """End what runs and release everything; what is in the spool stays there. A second time does nothing."""
        if self._closed:
            return
        self._closed = True
        try:
            if self._delivering is not None:
                self._delivering.cancel()
                await asyncio.gather(self._delivering, return_exceptions=True)
            await self.tidy()
        finally:
            try:
                await self.link.close()
            finally:
                if self.desk is not None:
                    await self.desk.close()

    def _delivery_from(self, desk: SpoolDesk) -> Delivery:
        standing = self.standing
        return Delivery(
            desk, self.link, self.timing, lambda: standing.protection, self.registration, lambda: standing.policy.interval_s
        )

    async def _settle_rotation(self) -> None:
        if self._keys.pending_identity is not None:
            async with self.link.changing_keys:
                await settle_rotation(self._keys, self.link, self.link.clock)

    async def _once_more(self, request: Callable[[], Awaitable[None]]) -> None:
        """A request that counts once is made anew where the server had seen one of the same time."""
        try:
            await request()
        except Refused as refusal:
            if refusal.type != answers.REQUEST_REPLAYED:
                raise
            await request()

    async def _save(self) -> None:
        desk, unsaved = self.desk, self.standing.taken()
        if desk is None or not unsaved:
            return
        try:
            await desk.run(lambda: desk.spool.remember(unsaved))
        except BaseException:  # what has come meanwhile is newer
            self.standing.unsaved = {**unsaved, **self.standing.unsaved}
            raise

    def _on_failure(self, error: Unreachable) -> None:
        self.away = True
        if (finding := finding_of(error)) is not None:
            self.reporting.note(finding)

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
