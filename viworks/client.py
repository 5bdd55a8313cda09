"""The client: builds messages, seals what is sensitive, signs, sends, reads the answers."""

from __future__ import annotations

import asyncio
import time
import uuid
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from types import TracebackType
from typing import Any, TypeVar

import msgspec

from schemas import signing
from schemas.errors import ContractError
from schemas.messages import ClientConfig, PolicySet, RegistrationAnswer
from schemas.privacy import PrivacyMode, truncate_address
from schemas.sealing import Place, SealingKey
from viworks.errors import AnswerNotTrusted, Refused
from viworks.identity import Identity
from viworks.keys import KeyStore, rotation
from viworks.keys.certificates import renew_certificate
from viworks.transport import HttpTransport, Response, Transport

BASE_PATH = "/api/v1"
_ADDRESSES = ("source_ip", "target_ip")

T = TypeVar("T")
D = TypeVar("D", ClientConfig, PolicySet)


def system_clock() -> int:
    """The machine's time in milliseconds since the epoch."""
    return time.time_ns() // 1_000_000


@dataclass(frozen=True, slots=True)
class Device:
    """What a registration says of the device; sealed for the SOC."""

    os_type: str
    os_version: str
    device_id: str
    hardware_hash: str


@dataclass(frozen=True, slots=True)
class Metrics:
    """A heartbeat's numbers: ``uptime`` in seconds, usages in per cent, ``network_activity`` a level."""

    uptime: float
    memory_usage: float
    cpu_usage: float
    network_activity: float


class Client:
    """One client of the protocol. Use as an async context manager, or call ``close``.

    Args:
        base_url: scheme, host and port of the edge.
        identity: a key store, or an identity that lives as long as the process.
        transport: in place of HTTP to ``base_url``.
        clock: milliseconds since the epoch.
        enrolment_token: what ``viworks enroll`` printed, where the server enrols by invitation.
        sealing_key: the SOC's public key; otherwise the one that the registration's answer names.
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
        clock: Callable[[], int] = system_clock,
        sealing_key: SealingKey | None = None,
        enrolment_token: str | None = None,
    ) -> None:
        self.keys = identity if isinstance(identity, KeyStore) else KeyStore.in_memory(identity)
        self.registration: RegistrationAnswer | None = None
        self._device = device
        self._version = version
        self._capabilities = list(capabilities)
        self._node_id = node_id
        self._transport = transport or HttpTransport(base_url)
        self._clock = clock
        self._sealing_key = sealing_key
        self._enrolment_token = enrolment_token
        self._policy_version = 0
        self._rotating = asyncio.Lock()

    @property
    def identity(self) -> Identity:
        """The client's id and its key in force."""
        return self.keys.identity

    async def __aenter__(self) -> Client:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    async def close(self) -> None:
        """Release the connections."""
        await self._transport.close()

    async def register(self) -> RegistrationAnswer:
        """Register, or register again with the same key, and keep the API key.

        Raises:
            Unreachable, Refused, AnswerNotTrusted, KeyFileError.
        """
        before = self.registration
        async with self._rotating:
            await rotation.settle_rotation(self.keys, self, self._clock)
        if self.registration is not None and self.registration is not before:
            return self.registration  # that settled it; at once again it would be a replay
        answer = await self.register_as(self.identity)
        self.keys.remember_api_key(rotation.api_key_of(answer))
        return answer

    async def register_as(self, identity: Identity) -> RegistrationAnswer:
        """Register with this key; the API key is the caller's to keep. Raises as ``register``."""
        body, signature = _sign(self._registration_message(identity), identity)
        headers = {"Content-Type": "application/json", "X-Signature": signature}
        if self._enrolment_token is not None:
            headers["X-Enrolment-Token"] = self._enrolment_token
        response = await self._transport.request("POST", f"{BASE_PATH}/clients/register", headers, body)
        self.registration = _read(_accepted(response).body, RegistrationAnswer)
        if self._sealing_key is None:
            self._sealing_key = _sealing_key(self.registration.config.sealing_key)
        return self.registration

    async def rotate_key(self) -> None:
        """Replace the Ed25519 key, or finish a rotation that was begun before. See ``viworks.keys.rotation``."""
        await self._registered()
        async with self._rotating:
            await rotation.rotate_key(self.keys, self, self._clock)

    async def renew_certificate(self) -> None:
        """Replace the TLS key and certificate. See ``viworks.keys.certificates``."""
        await self._registered()
        async with self._rotating:
            await renew_certificate(self.keys, self, self._clock)

    def _registration_message(self, identity: Identity) -> dict[str, Any]:
        timestamp = self._clock()
        device = {
            "os_type": self._device.os_type,
            "os_version": self._device.os_version,
            "device_id": self._device.device_id,
            "hardware_hash": self._device.hardware_hash,
        }
        return {
            "client_id": identity.client_id,
            "public_key": identity.public_key_pem,
            "capabilities": self._capabilities,
            "version": self._version,
            **({} if self._node_id is None else {"node_id": self._node_id}),
            "device_info": {
                **{name: self._seal(value, f"registration.{name}", str(timestamp)) for name, value in device.items()},
                "encrypted": True,
            },
            "timestamp": timestamp,
        }

    async def heartbeat(self, metrics: Metrics, status: str = "online") -> int:
        """Send a heartbeat; return the version of the policy in force. Raises Unreachable, Refused, AnswerNotTrusted."""
        message = {
            "client_id": self.identity.client_id,
            "timestamp": self._clock(),
            "status": status,
            "metrics": {
                "uptime": metrics.uptime,
                "memory_usage": metrics.memory_usage,
                "cpu_usage": metrics.cpu_usage,
                "network_activity": metrics.network_activity,
                "encrypted": True,
            },
        }
        response = await self._authorised_post("heartbeat", message)
        return int(_read(response.body, dict[str, Any]).get("policy_version", 0))

    async def report_session(  # noqa: PLR0913 - the message's own members
        self,
        session_id: str,
        session_type: str,
        status: str,
        *,
        start_time: int,
        end_time: int | None = None,
        node_id: str,
        client_ip: str,
        internal_ip: str | None = None,
        user_agent: str,
        protocol_version: str = "1.0",
    ) -> None:
        """Report a session's state; times in milliseconds. Raises Unreachable, Refused, AnswerNotTrusted."""
        await self._registered()  # its answer names the key to seal for and the privacy mode
        metadata: dict[str, Any] = {"node_id": node_id, "client_ip": self._address(client_ip)}
        if internal_ip is not None:
            metadata["internal_ip"] = self._seal(internal_ip, "session.internal_ip", session_id)
        metadata |= {"user_agent": user_agent, "protocol_version": protocol_version, "encrypted": True}
        message = {
            "client_id": self.identity.client_id,
            "session_id": session_id,
            "session_type": session_type,
            "start_time": start_time,
            **({} if end_time is None else {"end_time": end_time}),
            "status": status,
            "metadata": metadata,
        }
        await self._authorised_post("sessions", message)

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

        Args:
            description: sealed for the SOC before it leaves.
            timestamp: milliseconds; now, where not given.
            details: ``source_ip``, ``target_ip``, ``user_agent``, ``error_code``.

        Raises:
            Unreachable, Refused, AnswerNotTrusted.
        """
        await self._registered()  # its answer names the key to seal for and the privacy mode
        event_id = event_id or str(uuid.uuid4())
        message = {
            "client_id": self.identity.client_id,
            "event_id": event_id,
            "event_type": event_type,
            "severity": severity,
            "timestamp": self._clock() if timestamp is None else timestamp,
            "details": {
                "description": self._seal(description, "event.description", event_id),
                **{name: self._address(value) if name in _ADDRESSES else value for name, value in details.items()},
                "encrypted": True,
            },
        }
        await self._authorised_post("events", message)
        return event_id

    async def config(self) -> ClientConfig:
        """Fetch the configuration.

        Raises:
            Unreachable, Refused.
            AnswerNotTrusted: not signed by the server, or older than one that was fetched before.
        """
        return self._newest(self._trusted(await self._authorised(lambda: self._get("config")), ClientConfig))

    async def policies(self) -> PolicySet:
        """Fetch the policies that select this client: the first is in force. Raises as ``config``."""
        return self._newest(self._trusted(await self._authorised(lambda: self._get("policies")), PolicySet))

    async def post(self, resource: str, message: Mapping[str, Any]) -> Response:
        """Sign with the key in force and send once. Raises Unreachable, Refused."""
        body, signature = _sign(message, self.identity)
        headers = self._headers({"Content-Type": "application/json", "X-Signature": signature})
        return _accepted(await self._transport.request("POST", f"{BASE_PATH}/clients/{resource}", headers, body))

    async def _get(self, resource: str) -> Response:
        target, timestamp = f"{BASE_PATH}/clients/{resource}", str(self._clock())
        signed = signing.get_request_bytes(target, self.identity.client_id, timestamp)
        signature = signing.encode_signature(signing.sign(signed, self.identity.secret_key))
        headers = self._headers({"X-Signature": signature, "X-Timestamp": timestamp})
        return _accepted(await self._transport.request("GET", target, headers, None))

    async def _authorised_post(self, resource: str, message: Mapping[str, Any]) -> Response:
        return await self._authorised(lambda: self.post(resource, message))

    async def _authorised(self, send: Callable[[], Awaitable[Response]]) -> Response:
        """Send with the API key; one that the server no longer takes is renewed once by registering again."""
        await self._registered()
        try:
            return await send()
        except Refused as refusal:
            if refusal.type != rotation.INVALID_API_KEY:
                raise
        await self.register()
        return await send()

    async def _registered(self) -> RegistrationAnswer:
        return self.registration or await self.register()

    def _headers(self, headers: Mapping[str, str]) -> dict[str, str]:
        """Read in the moment of signing: a key and its API key change together."""
        api_key = self.keys.api_key
        if api_key is None:
            raise Refused(401, rotation.INVALID_API_KEY, "there is no API key yet", False, None)
        return {"Authorization": f"Bearer {api_key.text}", "X-Client-ID": self.identity.client_id, **headers}

    def _seal(self, value: str, type_: str, message_id: str) -> str:
        if self._sealing_key is None:
            return value
        return self._sealing_key.seal(value.encode(), Place(self.identity.client_id, type_, message_id))

    def _address(self, value: str) -> str:
        """A strict server takes networks alone; any other makes a pseudonym of the whole address and keeps its network."""
        registration = self.registration
        strict = registration is not None and registration.config.privacy_mode == PrivacyMode.STRICT
        return truncate_address(value) if strict else value

    def _trusted(self, response: Response, kind: type[T]) -> T:
        registration = self.registration
        if registration is None:
            raise AnswerNotTrusted("the server's policy key is not known before a registration")
        try:
            public_key = signing.public_key_from_pem(registration.config.policy_key)
            signed, text = signing.signed_bytes(response.body)
            signing.verify(signed, signing.decode_signature(text), public_key)
        except ContractError as error:
            raise AnswerNotTrusted(f"the server's signature does not hold: {error}") from None
        return _read(response.body, kind)

    def _newest(self, document: D) -> D:
        """Only signed documents count: a version that anybody could have written would shut out the true ones."""
        if document.policy_version < self._policy_version:
            raise AnswerNotTrusted("the server's policies are older than those that it gave before")
        self._policy_version = document.policy_version
        return document


def _sign(message: Mapping[str, Any], identity: Identity) -> tuple[bytes, str]:
    return signing.sign_body(msgspec.json.encode({**message, "signature": ""}), identity.secret_key)


def _accepted(response: Response) -> Response:
    if response.status < 300:
        return response
    try:
        problem = msgspec.json.decode(response.body, type=dict[str, Any])
    except msgspec.MsgspecError:
        problem = {}
    retry_after = response.headers.get("retry-after", "")
    raise Refused(
        response.status,
        str(problem.get("type", "about:blank")),
        str(problem.get("detail", "")),
        bool(problem.get("retryable", response.status >= 500)),
        float(retry_after) if retry_after.isdigit() else None,
    )


def _read(body: bytes, kind: type[T]) -> T:
    try:
        return msgspec.json.decode(body, type=kind)
    except msgspec.MsgspecError:
        raise AnswerNotTrusted("the answer is not of the protocol") from None


def _sealing_key(pem: str) -> SealingKey:
    try:
        return SealingKey.from_pem(pem.encode())
    except ContractError as error:
        raise AnswerNotTrusted(f"the server's sealing key cannot be used: {error}") from None
