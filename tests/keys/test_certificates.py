"""Certificates: the new pair is saved before the old one goes; what is not the pending key's is refused."""

from __future__ import annotations

import datetime
from collections.abc import Mapping
from typing import Any

import msgspec
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_pem_private_key

from schemas.certificates import read_request
from tests.keys.crashing import Cell, Fuse, Place
from tests.keys.registry import Killed
from tests.keys.test_rotation import NEVER, Ring
from viworks import AnswerNotTrusted, Response, Unreachable
from viworks.errors import KeysTampered
from viworks.keys import KeyStore
from viworks.keys.certificates import certificate_request, renew_certificate, renewal_due_ms

BEGIN = datetime.datetime(2026, 1, 1, tzinfo=datetime.UTC)
DAY_MS = 86_400_000


class Authority:
    """Signs requests as the edge answers them; ``foreign`` for another key than the one that asked."""

    def __init__(self, fuse: Fuse, *, foreign: bool = False, lost: bool = False) -> None:
        self._fuse, self._foreign, self._lost = fuse, foreign, lost
        self._key = ec.generate_private_key(ec.SECP256R1())
        self.asked: list[bytes] = []

    async def post(self, resource: str, message: Mapping[str, Any]) -> Response:
        assert resource == "certificates"
        self._fuse.step()
        key = read_request(message["csr"]).public_key()
        self.asked.append(key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo))
        self._fuse.step()
        if self._lost:
            raise Unreachable("no answer")
        chain = self.sign(self._key.public_key() if self._foreign else key)
        answer = {"client_id": "c-1", "certificate": chain, "api_key": f"api-{len(self.asked)}", "expires_at": 9}
        return Response(200, {}, msgspec.json.encode(answer))

    async def register_as(self, identity: object) -> Any:
        raise AssertionError("a renewal registers nobody")

    def sign(self, key: Any, days: int = 90) -> str:
        name = x509.Name([])
        builder = x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(key).serial_number(7)
        builder = builder.not_valid_before(BEGIN).not_valid_after(BEGIN + datetime.timedelta(days=days))
        return builder.sign(self._key, hashes.SHA256()).public_bytes(Encoding.PEM).decode()


def started(keys: Cell, witness: Cell, fuse: Fuse) -> KeyStore:
    return KeyStore.open_at(Place(keys, witness, fuse), "c-1", Ring())


def whole(store: KeyStore) -> bool:
    """Whether key and certificate belong together."""
    assert store.tls is not None
    certified = x509.load_pem_x509_certificate(store.tls.chain_pem.encode()).public_key()
    return load_pem_private_key(store.tls.key_pem.encode(), None).public_key() == certified


async def test_a_renewal_that_is_killed_at_any_step_leaves_a_whole_pair_with_its_own_api_key() -> None:
    for killed_at in range(1, 12):
        keys, witness = Cell(), Cell()
        store = started(keys, witness, Fuse(NEVER))
        await renew_certificate(store, Authority(Fuse(NEVER)), lambda: 1)
        first = store.tls
        fuse = Fuse(killed_at)
        store = started(keys, witness, fuse)
        authority = Authority(fuse)
        authority.asked.append(b"the first")
        try:
            await renew_certificate(store, authority, lambda: 2)
            assert killed_at > 10
        except Killed:
            assert killed_at <= 10
        store = started(keys, witness, Fuse(NEVER))
        assert whole(store)
        assert store.api_key is not None
        assert store.api_key.text == ("api-1" if store.tls == first else "api-2")


async def test_the_same_key_asks_again_where_the_answer_was_lost() -> None:
    store = started(Cell(), Cell(), Fuse(NEVER))
    authority = Authority(Fuse(NEVER), lost=True)
    for _ in range(2):
        with pytest.raises(Unreachable):
            await renew_certificate(store, authority, lambda: 1)
    assert authority.asked[0] == authority.asked[1]
    assert store.tls is None


async def test_another_keys_certificate_is_refused() -> None:
    store = started(Cell(), Cell(), Fuse(NEVER))
    with pytest.raises(AnswerNotTrusted):
        await renew_certificate(store, Authority(Fuse(NEVER), foreign=True), lambda: 1)
    assert (store.tls, store.api_key) == (None, None)


def test_a_request_of_a_long_client_id_is_one_that_an_authority_signs() -> None:
    store = KeyStore.open_at(Place(Cell(), Cell(), Fuse(NEVER)), "c" * 128, Ring())
    assert read_request(certificate_request(store)).is_signature_valid


@pytest.mark.parametrize(("jitter", "due_days"), [(0.0, 60), (1.0, 69), (0.5, 64.5), (7.0, 69), (-1.0, 60)])
def test_renewal_is_due_after_two_thirds_of_a_life_and_not_for_all_at_once(jitter: float, due_days: float) -> None:
    chain = Authority(Fuse(NEVER)).sign(ec.generate_private_key(ec.SECP256R1()).public_key())
    assert renewal_due_ms(chain, jitter) == int(BEGIN.timestamp() * 1000 + due_days * DAY_MS)
    with pytest.raises(KeysTampered):
        renewal_due_ms("nonsense", jitter)
