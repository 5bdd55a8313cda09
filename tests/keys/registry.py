"""A server in memory that decides on keys as the registry does, and can lose a request or its answer."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import msgspec

from schemas import signing
from schemas.messages import RegistrationAnswer
from viworks import Identity, Refused, Response, Unreachable
from viworks.keys import KeyStore

_CONFIG = {
    "heartbeat_interval": 30,
    "policy_version": 1,
    "sealing_key": "",
    "sealing_key_id": "",
    "policy_key": "",
    "privacy_mode": "seal",
}


class Killed(BaseException):
    """Stands for the end of the process."""


@dataclass
class Registry:
    """One client's key in force, its predecessor, and the API keys that count.

    ``alarms`` are refusals that a real edge reports as signs of tampering.
    """

    in_force: bytes
    former: bytes = b""
    idempotent: bool = True
    api_keys: dict[str, bytes] = field(default_factory=dict)
    alarms: list[str] = field(default_factory=list)

    def grant(self, public_key: bytes) -> str:
        text = f"api-{len(self.api_keys)}"
        self.api_keys[text] = public_key
        return text

    def register(self, public_key: bytes) -> str:
        if public_key != self.in_force:
            raise self._refused("identity-conflict", alarm=True)
        return self.grant(public_key)

    def rotate(self, api_key: str, message: Mapping[str, Any]) -> dict[str, Any]:
        signer = self.signer(api_key)
        new = signing.public_key_from_pem(message["public_key"])
        proved = signing.rotation_proof_bytes(message["client_id"], signing.key_id(signer), new, message["timestamp"])
        signing.verify(proved, signing.decode_signature(message["proof"]), new)
        done = self.idempotent and (signer, new) == (self.former, self.in_force)
        if not done and signer != self.in_force:
            raise self._refused("key-superseded", alarm=True)
        if not done:
            self.former, self.in_force = self.in_force, new
        key_id = signing.key_id(new)
        return {"client_id": "c-1", "key_id": key_id, "api_key": self.grant(new), "expires_at": 9, "old_key_until": 5}

    def signer(self, api_key: str) -> bytes:
        if api_key not in self.api_keys:
            raise self._refused("invalid-api-key")
        return self.api_keys[api_key]

    def _refused(self, slug: str, *, alarm: bool = False) -> Refused:
        if alarm:
            self.alarms.append(slug)
        return Refused(401 if slug == "invalid-api-key" else 409, f"urn:viworks:problem:{slug}", "", False, None)


class Line:
    """A client's way to the registry. ``before`` and ``after`` are called around each request and may raise."""

    def __init__(
        self, registry: Registry, store: KeyStore, *, before: Callable[[], None], after: Callable[[], None]
    ) -> None:
        self._registry = registry
        self._store = store
        self._before, self._after = before, after

    async def post(self, resource: str, message: Mapping[str, Any]) -> Response:
        assert resource == "keys"
        api_key = self._store.api_key
        assert api_key is not None
        self._before()
        answer = self._registry.rotate(api_key.text, message)
        self._after()
        return Response(200, {}, msgspec.json.encode(answer))

    async def register_as(self, identity: Identity) -> RegistrationAnswer:
        self._before()
        text = self._registry.register(signing.public_key_of(identity.secret_key))
        self._after()
        answer = {"client_id": "c-1", "api_key": text, "expires_at": 9, "config": _CONFIG}
        return msgspec.convert(answer, RegistrationAnswer)


def works(registry: Registry, store: KeyStore) -> bool:
    """Whether the server takes what the store's client would sign and send now."""
    api_key, public_key = store.api_key, signing.public_key_of(store.identity.secret_key)
    return api_key is not None and registry.api_keys.get(api_key.text) == public_key


def unreachable() -> None:
    raise Unreachable("no answer")
