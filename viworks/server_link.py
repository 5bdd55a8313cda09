"""The server, as the rest of the client speaks to it: each request signed by the key in force, the API key kept good.

An API key that the server no longer takes is renewed by registering again: by one request at a time, and if the new one is
refused too, after ever longer waits, so that a server that refuses all keys is not stormed.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol

import msgspec

from schemas import signing
from schemas.messages import RegistrationAnswer, RegistrationPending
from viworks import answers, drafts
from viworks.backoff import Backoff, BackoffPolicy, failed
from viworks.drafts import Draft, Installation
from viworks.errors import NotApproved, Refused
from viworks.identity import Identity
from viworks.keys import ApiKey, KeyStore
from viworks.keys.rotation import settle_rotation
from viworks.protection import Protection
from viworks.server_clock import date_ms, offset_ms
from viworks.spool import Record
from viworks.timing import Timing
from viworks.transport import Response, Transport

BASE_PATH = "/api/v1"
_JSON, _LINES = "application/json", "application/x-ndjson"
RENEWAL = BackoffPolicy(base_ms=2_000, cap_ms=300_000)

Headers = Mapping[str, str]
Signed = tuple[Headers, bytes | None]
Making = Callable[[Identity], Signed]


class Observer(Protocol):
    """Who is told what came from the server."""

    def heard(self) -> None:
        """An answer came, whatever it says."""
        ...

    def refused(self, refusal: Refused) -> None:
        """It was a refusal."""
        ...

    def registered(self, answer: RegistrationAnswer) -> None:
        """It was a registration's."""
        ...


class ServerLink:
    """One client's requests.

    Attributes:
        registration: the answer to the last registration, or what was kept of it.
        protection: how registrations are protected.
        skew_ms: what is to be added to the machine's time; ``heard_time`` says whether the server has told its own.
        rotation_due: whether the server has asked for a new key.
        changing_keys: held by whoever changes the key or its API key: two would undo one another's.
    """

    def __init__(
        self,
        transport: Transport,
        keys: KeyStore,
        installation: Installation,
        timing: Timing,
        *,
        enrolment_token: str | None = None,
        wants_certificate: bool = False,
        observer: Observer,
    ) -> None:
        self.registration: RegistrationAnswer | None = None
        self.protection = Protection()
        self.skew_ms, self.heard_time = 0, False
        self.rotation_due = False
        self._transport = transport
        self._keys = keys
        self._installation = installation
        self._timing = timing
        self._enrolment_token = enrolment_token
        self._wants_certificate = wants_certificate
        self._observer = observer
        self.changing_keys = asyncio.Lock()
        self._renewals, self._not_before_ms = Backoff(), 0
        self._last_registration_ms = 0

    def clock(self) -> int:
        """Milliseconds since the epoch, by the server where the machine is wrong."""
        return self._timing.wall_ms() + self.skew_ms

    async def register(self) -> RegistrationAnswer:
        """Register with the key in force and keep the API key.

        Raises:
            Unreachable, Refused, AnswerNotTrusted, NotApproved.
        """
        answer = await self.register_as(self._keys.identity)
        api_key = ApiKey(text=answer.api_key, expires_at_ms=answer.expires_at)
        if isinstance(answer.certificate, str) and self._keys.state.pending_tls_key is not None:
            from viworks.keys.certificates import accept_certificate  # X.509 is slow to import

            accept_certificate(self._keys, answer)
        else:
            self._keys.remember_api_key(api_key)
        return answer

    async def registered(self) -> RegistrationAnswer:
        """What the last registration said; registers where there was none. Raises as ``register``."""
        if self.registration is not None and self._keys.api_key is not None:
            return self.registration
        async with self.changing_keys:
            if self.registration is not None and self._keys.api_key is not None:
                return self.registration
            return await self.register()

    async def register_as(self, identity: Identity) -> RegistrationAnswer:
        """Register with this key. Once more where the server had seen a newer time, or says that the clock is wrong."""
        skew_ms = self.skew_ms
        try:
            answer = await self._register_once(identity)
        except Refused as refusal:
            clock_mended = refusal.type == answers.STALE_TIMESTAMP and self.skew_ms != skew_ms
            if not clock_mended and refusal.type != answers.REGISTRATION_REPLAYED:
                raise
            answer = await self._register_once(identity)
        self._observer.registered(answer)
        self.registration = answer
        return answer

    async def post(self, resource: str, message: Mapping[str, Any]) -> Response:
        """Sign and send once, as the rotation of keys needs it. Raises Unreachable, Refused."""
        return await self._once("POST", resource, _post_of(message))

    async def send(self, resource: str, message: Callable[[], Draft]) -> Response:
        """Sign and send a message, made anew where it has to be sent again.

        Raises:
            Unreachable, Refused, AnswerNotTrusted, NotApproved.
        """
        skew_ms = self.skew_ms
        try:
            return await self._authorised("POST", resource, _posting(message))
        except Refused as refusal:
            if refusal.type != answers.STALE_TIMESTAMP or self.skew_ms == skew_ms:
                raise
        return await self._authorised("POST", resource, _posting(message))

    async def send_batch(self, records: Sequence[Record]) -> Response:
        """Sign each and send all. Raises as ``send``."""
        return await self._authorised("POST", "batch", lambda identity: _batch_of(records, identity))

    async def get(self, resource: str, etag: str = "") -> Response:
        """Fetch a document; 304 where it still has this tag. Raises as ``send``."""
        target = f"{BASE_PATH}/clients/{resource}"

        def make(identity: Identity) -> Signed:
            stamp = str(self.clock())
            signed = signing.get_request_bytes(target, identity.client_id, stamp)
            signature = signing.encode_signature(signing.sign(signed, identity.secret_key))
            known = {"If-None-Match": etag} if etag else {}
            return {"X-Signature": signature, "X-Timestamp": stamp, **known}, None

        return await self._authorised("GET", resource, make)

    async def close(self) -> None:
        """Release the connections."""
        await self._transport.close()

    async def _register_once(self, identity: Identity) -> RegistrationAnswer:
        now_ms = self._last_registration_ms = max(self.clock(), self._last_registration_ms + 1)
        csr = self._certificate_request() if self._wants_certificate else None
        draft = drafts.registration(self._installation, identity.public_key_pem, now_ms, csr)
        headers, body = _post_of(self.protection.sealed("registration", draft))(identity)
        if self._enrolment_token is not None:
            headers = {**headers, "X-Enrolment-Token": self._enrolment_token}
        response = await self._transport.request("POST", f"{BASE_PATH}/clients/register", headers, body)
        if self._judged(response).status == 202:
            answers.read(response.body, RegistrationPending)
            raise NotApproved("the registration waits for an administrator's approval")
        return answers.read(response.body, RegistrationAnswer)

    def _certificate_request(self) -> str:
        from viworks.keys.certificates import certificate_request

        return certificate_request(self._keys)

    async def _authorised(self, method: str, resource: str, make: Making) -> Response:
        """Send with the API key; one that the server no longer takes is renewed once."""
        await self.registered()
        api_key = self._keys.api_key
        try:
            response = await self._once(method, resource, make)
        except Refused as refusal:
            if refusal.type not in (answers.INVALID_API_KEY, answers.KEY_SUPERSEDED):
                raise
            await self._renew(api_key, refusal)
            response = await self._once(method, resource, make)
        self._renewals, self._not_before_ms = Backoff(), 0
        return response

    async def _once(self, method: str, resource: str, make: Making) -> Response:
        state = self._keys.state  # the key and its API key, of the same moment
        api_key = state.api_key.text if state.api_key else ""
        identity = Identity(state.client_id, state.seed)
        headers, body = make(identity)
        headers = {"Authorization": f"Bearer {api_key}", "X-Client-ID": identity.client_id, **headers}
        response = await self._transport.request(method, f"{BASE_PATH}/clients/{resource}", headers, body)
        return self._judged(response)

    async def _renew(self, refused: ApiKey | None, refusal: Refused) -> None:
        async with self.changing_keys:
            if self._keys.api_key != refused:
                return  # somebody else has renewed it meanwhile
            now_ms = self._timing.monotonic_ms()
            if now_ms < self._not_before_ms:
                raise refusal
            self._renewals, wait_ms = failed(RENEWAL, self._renewals, self._timing.fraction())
            self._not_before_ms = now_ms + wait_ms
            if self._keys.pending_identity is not None:
                await settle_rotation(self._keys, self, self.clock)
            elif refusal.type == answers.INVALID_API_KEY:
                await self.register()
            else:
                raise refusal

    def _judged(self, response: Response) -> Response:
        """The response, if it is a success; by the way the server's time, and whether it wants a new key. Raises Refused."""
        server_ms = date_ms(response.headers.get("date", ""))
        if server_ms is not None:
            self.skew_ms, self.heard_time = offset_ms(server_ms, self._timing.wall_ms()), True
        if "x-key-rotation" in response.headers:
            self.rotation_due = response.headers["x-key-rotation"] == "due"
        self._observer.heard()
        try:
            return answers.accepted(response)
        except Refused as refusal:
            self._observer.refused(refusal)
            raise


def _posting(message: Callable[[], Draft]) -> Making:
    """Makes the message at each attempt, with the time of that."""

    def make(identity: Identity) -> Signed:
        return _post_of(message())(identity)

    return make


def _post_of(message: Mapping[str, Any]) -> Making:
    def make(identity: Identity) -> Signed:
        body, signature = _signed(message, identity)
        return {"Content-Type": _JSON, "X-Signature": signature}, body

    return make


def _batch_of(records: Sequence[Record], identity: Identity) -> Signed:
    lines = (
        b'{"type":"%s","message":%s}' % (record.kind.encode(), _signed(record.message, identity)[0]) for record in records
    )
    return {"Content-Type": _LINES}, b"\n".join(lines)


def _signed(message: Mapping[str, Any], identity: Identity) -> tuple[bytes, str]:
    return signing.sign_body(msgspec.json.encode({**message, "signature": ""}), identity.secret_key)
