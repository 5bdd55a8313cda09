"""Rotation of the Ed25519 key, so that a crash or a lost answer at any point leaves a key that works.

The new key is on disk before the server hears of it. If the answer stays away, the server may have either key in force. The
same rotation, sent again, then settles it: the server takes it as new or as done, and answers with the new key's API key
either way. Where the old key's API key is no longer good, registering with the new key settles it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Protocol, TypeVar

import msgspec

from schemas import signing
from schemas.messages import KeyAnswer, RegistrationAnswer
from viworks.errors import AnswerNotTrusted, Refused
from viworks.identity import Identity
from viworks.keys import credentials
from viworks.keys.credentials import ApiKey
from viworks.keys.store import KeyStore
from viworks.transport import Response

_PROBLEM = "urn:viworks:problem:"
INVALID_API_KEY = f"{_PROBLEM}invalid-api-key"
KEY_SUPERSEDED = f"{_PROBLEM}key-superseded"
IDENTITY_CONFLICT = f"{_PROBLEM}identity-conflict"

Clock = Callable[[], int]
T = TypeVar("T")


class Server(Protocol):
    """The server, as rotation and renewal need it."""

    async def post(self, resource: str, message: Mapping[str, Any]) -> Response:
        """Sign with the store's key in force and send once, with the store's API key. Raises Unreachable, Refused."""
        ...

    async def register_as(self, identity: Identity) -> RegistrationAnswer:
        """Register with this key. Raises Unreachable, Refused, AnswerNotTrusted."""
        ...


async def rotate_key(store: KeyStore, server: Server, clock: Clock) -> None:
    """Make a new key, have the server put it in force and save its API key; or finish a rotation that was begun before.

    Args:
        clock: milliseconds since the epoch.

    Raises:
        Unreachable, AnswerNotTrusted: whether the new key is in force is not known: call it again.
        Refused: the old key stays in force.
        KeyFileError: the new key could not be saved. It stays pending where it is in force already.
    """
    begun_before = store.pending_identity is not None
    try:
        await _ask(store, server, clock)
    except Refused as refusal:
        if refusal.type not in (KEY_SUPERSEDED, INVALID_API_KEY):
            raise
        maybe_in_force = begun_before or refusal.type == KEY_SUPERSEDED
        if maybe_in_force and await _registered_as_pending(store, server, clock):
            return
        if refusal.type == KEY_SUPERSEDED:
            raise
        await _register_in_force(store, server)
        await _ask(store, server, clock)


async def settle_rotation(store: KeyStore, server: Server, clock: Clock) -> None:
    """Where a rotation's end is not known, find it out; for the start of a client. Raises as ``rotate_key``."""
    if store.pending_identity is None:
        return
    if store.api_key is None:
        await _registered_as_pending(store, server, clock)
    else:
        await rotate_key(store, server, clock)


def rotation_message(old: Identity, new: Identity, now_ms: int) -> dict[str, Any]:
    """The body of ``POST /clients/keys`` without its signature: the new key proves that it agrees."""
    new_key = signing.public_key_of(new.secret_key)
    old_id = signing.key_id(signing.public_key_of(old.secret_key))
    proved = signing.rotation_proof_bytes(old.client_id, old_id, new_key, now_ms)
    return {
        "client_id": old.client_id,
        "public_key": new.public_key_pem,
        "proof": signing.encode_signature(signing.sign(proved, new.secret_key)),
        "timestamp": now_ms,
    }


def read_answer(response: Response, kind: type[T]) -> T:
    """Raises AnswerNotTrusted where the answer is not of the protocol."""
    try:
        return msgspec.json.decode(response.body, type=kind)
    except (msgspec.MsgspecError, RecursionError):
        raise AnswerNotTrusted("the answer is not of the protocol") from None


async def _ask(store: KeyStore, server: Server, clock: Clock) -> None:
    new, now_ms = store.begin_rotation(), clock()
    answer = read_answer(await server.post("keys", rotation_message(store.identity, new, now_ms)), KeyAnswer)
    if answer.key_id != signing.key_id(signing.public_key_of(new.secret_key)):
        raise AnswerNotTrusted("the answer is for another key")
    api_key = ApiKey(text=answer.api_key, expires_at_ms=answer.expires_at)
    store.save(credentials.rotated(store.state, api_key, now_ms))


async def _registered_as_pending(store: KeyStore, server: Server, clock: Clock) -> bool:
    """Whether the pending key is the one in force; it then is the store's too."""
    try:
        answer = await server.register_as(store.begin_rotation())
    except Refused as refusal:
        if refusal.type != IDENTITY_CONFLICT:
            raise
        return False
    store.save(credentials.rotated(store.state, api_key_of(answer), clock()))
    return True


async def _register_in_force(store: KeyStore, server: Server) -> None:
    answer = await server.register_as(store.identity)
    store.remember_api_key(api_key_of(answer))


def api_key_of(answer: RegistrationAnswer) -> ApiKey:
    """The API key of a registration's answer."""
    return ApiKey(text=answer.api_key, expires_at_ms=answer.expires_at)
