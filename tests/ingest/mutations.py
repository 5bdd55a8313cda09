"""Changes of signed requests that must never be accepted. Each generator makes all changes of a kind, always the same."""

from __future__ import annotations

import dataclasses
import itertools
import json
import random
from collections.abc import Callable, Iterator
from typing import Any

from schemas import signing
from tests.ingest.signed_requests import NOW, Request, Signer
from tests.schemas import messages_samples as samples
from tests.schemas.edwards25519 import L

ALICE = Signer("alice-1", b"a" * 32)
ALICE_TOO = dataclasses.replace(ALICE, hexadecimal=False)
BOB = Signer("bob-1", b"b" * 32)
SIGNERS = (ALICE, ALICE_TOO)
POSTS = [request for signer in SIGNERS for request in signer.requests() if request.body]
GETS = [request for signer in SIGNERS for request in signer.requests() if not request.body]

Changes = Iterator[tuple[Request, Request]]
"""The request as it was, and as it was changed."""


def bit_flips_in_bodies() -> Changes:
    return ((sent, sent.with_body(body)) for sent in POSTS for body in _flips(sent.body))


def bit_flips_in_headers() -> Changes:
    for sent in POSTS + GETS:
        for name, value in sent.headers.items():
            # The scheme's name counts in any case (RFC 9110 §11.1).
            kept = len(b"Bearer ") if name == b"authorization" else 0
            yield from ((sent, sent.with_header(name, value[:kept] + rest)) for rest in _flips(value[kept:]))


def bit_flips_in_targets() -> Changes:
    return ((sent, dataclasses.replace(sent, target=target)) for sent in GETS for target in _flips(sent.target))


def _flips(value: bytes) -> Iterator[bytes]:
    for at, bit in itertools.product(range(len(value)), range(8)):
        yield value[:at] + bytes([value[at] ^ 1 << bit]) + value[at + 1 :]


def truncations_and_lost_bytes() -> Changes:
    for sent in POSTS:
        yield from ((sent, sent.with_body(sent.body[:at])) for at in range(len(sent.body)))
        yield from ((sent, sent.with_body(sent.body[:at] + sent.body[at + 1 :])) for at in range(len(sent.body)))


def insertions() -> Changes:
    """One byte, white space above all, at every place."""
    for sent in POSTS:
        for at, byte in itertools.product(range(len(sent.body) + 1), (b" ", b"\n", b"\t", b"0", b",", b"\\", b'"', b"\xff")):
            yield sent, sent.with_body(sent.body[:at] + byte + sent.body[at:])


def exchanged_neighbours() -> Changes:
    for sent in POSTS:
        for at in range(len(sent.body) - 1):
            if sent.body[at] != sent.body[at + 1]:
                pair = sent.body[at : at + 2]
                yield sent, sent.with_body(sent.body[:at] + pair[::-1] + sent.body[at + 2 :])


def members_in_another_order_or_with_anothers_value() -> Changes:
    for sent in POSTS:
        message = json.loads(sent.body)
        for one, other in itertools.combinations(message, 2):
            names = [{one: other, other: one}.get(name, name) for name in message]
            yield sent, sent.with_body(samples.compact({name: message[name] for name in names}))
            yield sent, sent.with_body(samples.compact({**message, one: message[other], other: message[one]}))


def members_twice() -> Changes:
    """Each member once more, first or last, with its own or another value, by its name or escaped name, signed or not."""
    for signer, (name, message) in itertools.product(SIGNERS, ALICE.messages().items()):
        unsigned = samples.compact(message)
        for member, value in message.items():
            for key, again in itertools.product((json.dumps(member), _escaped(member)), (value, "", None, 7)):
                extra = f"{key}:{json.dumps(again, separators=(',', ':'))}".encode()
                for text in (b"{" + extra + b"," + unsigned[1:], unsigned[:-1] + b"," + extra + b"}"):
                    sent = signer.post(name, unsigned)
                    yield sent, sent.with_body(text.replace(unsigned[1:-1], sent.body[1:-1]))
                    yield sent, _signed_whole(signer, name, text)


def _escaped(member: str) -> str:
    return '"' + member[:-1] + f"\\u{ord(member[-1]):04x}" + '"'


def _signed_whole(signer: Signer, name: str, text: bytes) -> Request:
    """Signed as it stands; the signature goes to each place of an empty one."""
    return signer.post(name, text)


def other_writings_of_the_same_message() -> Changes:
    """The same JSON value in other bytes, without a new signature."""
    writers: list[Callable[[Any], str]] = [
        json.dumps,
        lambda message: json.dumps(message, indent=1),
        lambda message: json.dumps(message, separators=(",", ":"), sort_keys=True),
        lambda message: json.dumps(message, separators=(",", ":")).replace("e", "\\u0065", 1),
        lambda message: json.dumps(message, separators=(",", ":")).replace(str(NOW), f"{NOW}.0"),
        lambda message: json.dumps(message, separators=(",", ":")).replace("true", "True"),
        lambda message: json.dumps({**message, "extra": 1}, separators=(",", ":")),
    ]
    for sent, write in itertools.product(POSTS, writers):
        text = write(json.loads(sent.body))
        for encoding in ("utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-32"):
            if text.encode(encoding) != sent.body:
                yield sent, sent.with_body(text.encode(encoding))


def names_and_values_in_another_case() -> Changes:
    for sent in POSTS:
        for change, name in itertools.product((str.upper, str.lower, str.capitalize, str.swapcase), json.loads(sent.body)):
            body = sent.body.replace(f'"{name}":'.encode(), f'"{change(name)}":'.encode())
            if body != sent.body:
                yield sent, sent.with_body(body)
        for body in (sent.body.upper(), sent.body.lower(), sent.body.swapcase()):
            yield sent, sent.with_body(body)


def signatures_of_another_key() -> Changes:
    for signer, thief in itertools.product(SIGNERS, (BOB.seed, bytes(32), b"\xff" * 32)):
        wrong = dataclasses.replace(signer, seed=thief)
        for sent, (name, message) in zip(signer.requests(), signer.messages().items(), strict=False):
            yield sent, dataclasses.replace(wrong.post(name, samples.compact(message)), headers=sent.headers)
            yield sent, sent.signed_again(json.loads(wrong.post(name, samples.compact(message)).body)["signature"])
        for sent in signer.requests()[4:]:
            yield sent, sent.signed_again(signer.text(signing.sign(sent.target, thief)))


def malleable_signatures() -> Changes:
    """S + k·L, which satisfies the equation as S does (RFC 8032 §5.1.7), a negated R, and S or R of no value."""
    for sent in POSTS + GETS:
        r, s = sent.signature()[:32], int.from_bytes(sent.signature()[32:], "little")
        scalars = [s + k * L for k in range(1, 16) if s + k * L < 2**256] + [0, 1, L - s, L, L - 1, 2**256 - 1]
        points = [r[:31] + bytes([r[31] ^ 128]), bytes(32), b"\x01" + bytes(31), b"\xff" * 32]
        forged = [r + scalar.to_bytes(32, "little") for scalar in scalars] + [
            point + sent.signature()[32:] for point in points
        ]
        for signature in forged:
            yield sent, sent.signed_again(signature.hex().upper())
            yield sent, sent.signed_again(signing.encode_signature(signature))


def signatures_of_other_messages() -> Changes:
    """Every request with the signature of every other."""
    everything = [*POSTS, *GETS, *BOB.requests(), *(_heartbeat_at(NOW + after) for after in range(1, 20))]
    for sent, other in itertools.permutations(everything, 2):
        if sent.signature() != other.signature():
            yield sent, sent.signed_again(other.headers[b"x-signature"].decode())


def _heartbeat_at(timestamp: int) -> Request:
    return ALICE.post("heartbeat", samples.compact(samples.heartbeat(timestamp, ALICE.client_id)))


def messages_at_other_routes() -> Changes:
    for sent, other in itertools.permutations(POSTS, 2):
        if sent.row != other.row:
            yield sent, dataclasses.replace(sent, row=other.row, headers={**other.headers, **sent.headers})


def headers_of_another_client() -> Changes:
    own, bobs = ALICE.identity_headers(), BOB.identity_headers()
    mixed = [{**own, name: bobs[name]} for name in own] + [bobs]
    for sent, identity in itertools.product([*POSTS, *GETS], mixed):
        if b"authorization" in sent.headers:
            yield sent, dataclasses.replace(sent, headers={**sent.headers, **identity})
    for sent, name in itertools.product([*POSTS, *GETS], (b"authorization", b"x-client-id", b"x-signature")):
        if b"authorization" in sent.headers:
            yield sent, dataclasses.replace(sent, headers={n: v for n, v in sent.headers.items() if n != name})


def other_texts_of_the_api_key() -> Changes:
    """Texts that a lenient reader of base64 takes for the same bytes."""
    sent = next(request for request in POSTS if b"authorization" in request.headers)
    token = sent.headers[b"authorization"].removeprefix(b"Bearer ")
    texts = [token + b"=", token + b"==", token + b".", token.replace(b"-", b"+").replace(b"_", b"/"), token[:-1]]
    for at, junk in itertools.product(range(len(token) + 1), (b"!", b"!!!!", b"\n\n\n\n", b"====", b".", b"A")):
        texts.append(token[:at] + junk + token[at:])
    return ((sent, sent.with_header(b"authorization", b"Bearer " + text)) for text in texts if text.strip() != token)


def changed_gets() -> Changes:
    for sent in GETS:
        for change in (b"?", b"?a=c", b"?a=b&a=b", b"?since=2", b"/", b"//", b"%2f", b"#x", b"\n"):
            yield sent, dataclasses.replace(sent, target=sent.target + change)
        bare = sent.target.partition(b"?")[0]
        for target in {bare, bare + b"?", bare.upper(), bare.replace(b"c", b"%63")} - {sent.target}:
            yield sent, dataclasses.replace(sent, target=target)
        for stamp in [str(NOW + after) for after in range(-50, 51) if after] + [
            f"0{NOW}",
            f"+{NOW}",
            f" {NOW}",
            f"{NOW}\n",
            "",
        ]:
            yield sent, sent.with_header(b"x-timestamp", stamp.encode())
        if b"x-timestamp" in sent.headers:
            yield sent, dataclasses.replace(sent, headers={n: v for n, v in sent.headers.items() if n != b"x-timestamp"})


def random_splices(count: int = 3000) -> Changes:
    """Pieces of one request's body in another's place, several at once."""
    chance = random.Random(4)
    for _ in range(count):
        sent, other = chance.choice(POSTS), chance.choice(POSTS)
        body = sent.body
        for _ in range(chance.randint(1, 4)):
            at, cut, source = (chance.randrange(len(body)) for _ in range(3))
            body = body[:at] + other.body[source : source + chance.randint(0, 30)] + body[min(len(body), at + cut % 30) :]
            body = body or b"{}"
        if body not in (sent.body, other.body):
            yield sent, sent.with_body(body)


ALL: tuple[Callable[[], Changes], ...] = (
    bit_flips_in_bodies,
    bit_flips_in_headers,
    bit_flips_in_targets,
    truncations_and_lost_bytes,
    insertions,
    exchanged_neighbours,
    members_in_another_order_or_with_anothers_value,
    members_twice,
    other_writings_of_the_same_message,
    names_and_values_in_another_case,
    signatures_of_another_key,
    malleable_signatures,
    signatures_of_other_messages,
    messages_at_other_routes,
    headers_of_another_client,
    other_texts_of_the_api_key,
    changed_gets,
    random_splices,
)
