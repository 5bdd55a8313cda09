"""The client: what an endpoint's developer calls. With a spool, what it was told arrives, whatever happens in between."""

from __future__ import annotations

import asyncio
import contextlib
import os
import uuid
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from types import TracebackType
from typing import Any

from schemas.messages import ClientConfig, Policy, PolicySet, RegistrationAnswer
from schemas.sealing import SealingKey
from viworks import drafts
from viworks.drafts import Device, Installation, Metrics, SessionFacts
from viworks.errors import Forked, NoKeyStore
from viworks.identity import Identity
from viworks.keys import KeyProtector, KeyStore
from viworks.machinery import Choices, Machinery
from viworks.opening import open_parts
from viworks.running import MetricsSource, Running
from viworks.session import SessionReporting
from viworks.spool import Bounds, Spool
from viworks.timing import Timing
from viworks.transport import HttpTransport, RetryPolicy, TlsSettings, Transport

FAREWELL_S = 3.0
"""A machine that is shut down does not wait longer for a client."""


class Client:
    """One client of the protocol. Use as an async context manager, or call ``close``.

    With a spool (``Client.open`` makes one) sessions and events are accepted on disk and brought to the server in the
    background; without one each call sends at once, and raises where that fails.

    Attributes:
        keys: the client's keys.
        status: what the heartbeats of ``start`` say: online, error or maintenance.

    Args:
        base_url: scheme, host and port of the edge.
        identity: the key alone, or a store that can also rotate it.
        transport: in place of HTTP to ``base_url``.
        clock: milliseconds since the epoch, in place of ``timing``'s.
        sealing_key: the SOC's public key; otherwise the one that the server names.
        enrolment_token: what ``viworks enroll`` printed, where the server enrols by invitation.
        spool: of this client alone; it is closed with the client.
        wants_certificate: ask for a TLS certificate with the registration; for a store.
        farewell_s: how long ``close`` may wait for the server, in seconds; 0 for not at all.
    """

    def __init__(  # noqa: PLR0913 - keywords with defaults
        self,
        base_url: str,
        identity: Identity | KeyStore,
        *,
        device: Device,
        version: str = "1.0.0",
        capabilities: Sequence[str] = ("vpn", "monitoring"),
        node_id: str | None = None,
        transport: Transport | None = None,
        clock: Callable[[], int] | None = None,
        sealing_key: SealingKey | None = None,
        enrolment_token: str | None = None,
        spool: Spool | None = None,
        timing: Timing | None = None,
        retries: RetryPolicy | None = None,
        wants_certificate: bool = False,
        farewell_s: float = FAREWELL_S,
    ) -> None:
        self.keys = identity if isinstance(identity, KeyStore) else KeyStore.in_memory(identity)
        self.status = "online"
        self._has_store = isinstance(identity, KeyStore)
        self._process = os.getpid()
        timing = timing or Timing()
        self._parts = Machinery(
            transport or HttpTransport(base_url),
            self.keys,
            Installation(self.keys.client_id, device, version, tuple(capabilities), node_id),
            timing if clock is None else replace(timing, wall_ms=clock),
            spool,
            Choices(sealing_key, enrolment_token, wants_certificate, retries),
        )
        self._owns_keys = False
        self._closed = False
        self._farewell_s = farewell_s
        self._running: Running | None = None

    @classmethod
    def open(
        cls,
        base_url: str,
        client_id: str,
        directory: str | Path,
        *,
        protector: KeyProtector | None = None,
        tls: TlsSettings | None = None,
        bounds: Bounds | None = None,
        **settings: Any,
    ) -> Client:
        """A client whose keys and spool are kept in a directory of its own.

        Args:
            directory: made with mode 0700; the keys in it are encrypted, the spool too.
            protector: of the keys; by default the OS keyring where there is one, else a secret of the machine.
            tls: whose certificates count and which keys are pinned. A certificate in the client's keys comes before its own.
            settings: as for ``Client``; ``device`` is needed.

        Raises:
            KeyFileError, SpoolError, SettingsInvalid.
        """
        given = settings.pop("transport", None)
        keys, spool, transport = open_parts(base_url, client_id, Path(directory), protector, tls, bounds, given)
        try:
            client = cls(base_url, keys, spool=spool, transport=transport, **settings)
        except BaseException:
            spool.close()
            keys.close()
            raise
        client._owns_keys = True
        return client

    async def __aenter__(self) -> Client:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    @property
    def identity(self) -> Identity:
        """The key in force."""
        return self.keys.identity

    @property
    def registration(self) -> RegistrationAnswer | None:
        """The answer to the last registration; None before the first."""
        return self._parts.link.registration

    @property
    def policy(self) -> Policy | None:
        """The policy in force, in local mode the last that the server signed; None where there is none."""
        return self._parts.standing.policy.in_force

    @property
    def local_mode(self) -> bool:
        """Whether the server did not answer the last time, so that the client goes on by what it knows."""
        return self._parts.away

    @property
    def spooled(self) -> int:
        """How many messages wait for the server."""
        return self._parts.desk.spool.census.waiting if self._parts.desk else 0

    async def register(self) -> RegistrationAnswer:
        """Register, or register again with the same key, and keep the API key.

        Raises:
            Unreachable, Refused, AnswerNotTrusted, NotApproved.
        """
        return await self._used().register()

    async def heartbeat(self, metrics: Metrics, status: str | None = None) -> int:
        """Send one heartbeat; return the version of the policy in force.

        Raises:
            MessageInvalid, Unreachable, Refused, AnswerNotTrusted.
        """
        parts, status = self._used(), status or self.status
        return await parts.beat(lambda: drafts.heartbeat(self.keys.client_id, metrics, status, parts.link.clock()))

    def start(self, metrics: MetricsSource) -> None:
        """Live in the background until ``close``: heartbeats, policies, rotation, renewal and deliveries.

        Args:
            metrics: asked before each heartbeat.
        """
        if self._running is None:
            self._running = self._run_of(metrics)
            self._running.start()

    async def run(self, metrics: MetricsSource) -> None:
        """The same in the foreground, until cancelled."""
        if self._running is None:
            self._running = self._run_of(metrics)
            await self._running.run()

    async def online(self) -> None:
        """Wait until the first heartbeat after ``start`` was accepted."""
        if self._running is not None:
            await self._running.first_heartbeat.wait()

    def report_session(  # noqa: PLR0913 - the message's own members
        self,
        session_id: str,
        session_type: str,
        status: str = "active",
        *,
        start_time: int | None = None,
        end_time: int | None = None,
        node_id: str,
        client_ip: str,
        internal_ip: str | None = None,
        user_agent: str,
        protocol_version: str = "1.0",
    ) -> SessionReporting:
        """Report a session: ``await`` it for one report, or ``async with`` it to report its start, its end and errors.

        Args:
            start_time, end_time: milliseconds since the epoch; it starts now, where not given.

        Raises:
            MessageInvalid; with a spool SpoolFull, SpoolFailed; without one Unreachable, Refused, AnswerNotTrusted.
        """
        parts = self._used()
        began_ms = parts.link.clock() if start_time is None else start_time
        facts = SessionFacts(
            session_id, session_type, began_ms, node_id, client_ip, internal_ip, user_agent, protocol_version
        )

        async def report(facts: SessionFacts, status: str, end_time: int | None) -> None:
            await parts.submit("sessions", drafts.session(self.keys.client_id, facts, status, end_time))

        return SessionReporting(facts, status, end_time, report, parts.link.clock)

    async def report_event(
        self,
        event_type: str,
        severity: str,
        description: str,
        *,
        event_id: str | None = None,
        timestamp: int | None = None,
        **details: str,
    ) -> str:
        """Report a security event and return its id.

        With a spool it is on disk when this returns, and from then on arrives, once in SQL. Where the policy in force
        switches events off, nothing is kept or sent.

        Args:
            description: sealed for the SOC before it leaves.
            timestamp: milliseconds; now, where not given.
            details: ``source_ip``, ``target_ip``, ``user_agent``, ``error_code``.

        Raises:
            MessageInvalid; with a spool SpoolFull, SpoolFailed; without one Unreachable, Refused, AnswerNotTrusted.
        """
        parts = self._used()
        members = {
            "event_id": event_id or str(uuid.uuid4()),
            "event_type": event_type,
            "severity": severity,
            "timestamp": parts.link.clock() if timestamp is None else timestamp,
        }
        await parts.submit("events", drafts.event(self.keys.client_id, members, description, details))
        return str(members["event_id"])

    async def config(self) -> ClientConfig:
        """Fetch the configuration.

        Raises:
            Unreachable, Refused.
            AnswerNotTrusted: not signed by the server, or older than one that was fetched before.
        """
        return await self._used().config()

    async def policies(self) -> PolicySet:
        """Fetch the policies that select this client: the first is in force. Raises as ``config``."""
        return await self._used().policies()

    async def rotate_key(self) -> None:
        """Replace the signing key, crash-safe. Raises NoKeyStore, Unreachable, Refused, AnswerNotTrusted, KeyFileError."""
        self._need_store()
        await self._used().rotate()

    async def renew_certificate(self) -> None:
        """Replace the TLS key and certificate. Raises NoKeyStore, Unreachable, Refused, AnswerNotTrusted, KeyFileError."""
        self._need_store()
        await self._used().renew()

    async def flush(self) -> bool:
        """Try to bring all that is spooled to the server now; whether nothing is left. Raises SpoolFailed."""
        return await self._used().flush()

    async def close(self) -> None:
        """Say ``offline`` where heartbeats ran, try once to deliver what is spooled, and release everything.

        That takes no longer than ``farewell_s``; what is left stays for the next start. A second time does nothing.
        """
        parts = self._used()
        if self._closed:
            return
        self._closed = True
        try:
            if self._running is not None:
                await self._running.stop()
            await self._last_words(parts)
        finally:
            await self._released(parts)

    async def _last_words(self, parts: Machinery) -> None:
        if self._farewell_s <= 0:
            return
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(self._farewell_s):
                if self._running is not None:
                    await self._running.say_offline()
                await parts.deliver_last()

    async def _released(self, parts: Machinery) -> None:
        try:
            await parts.close()
        finally:
            if self._owns_keys:
                self.keys.close()

    def _used(self) -> Machinery:
        if os.getpid() != self._process:
            raise Forked("a client belongs to the process that made it: make another one after a fork")
        return self._parts

    def _run_of(self, metrics: MetricsSource) -> Running:
        parts = self._used()
        return Running(self.keys.client_id, parts, metrics, lambda: self.status, keeps_keys=self._has_store)

    def _need_store(self) -> None:
        if not self._has_store:
            raise NoKeyStore("the key would be lost with the process: give the client a KeyStore, or use Client.open")
