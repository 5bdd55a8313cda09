"""No change of a signed request is accepted; other writings of the same signature are."""

from __future__ import annotations

import base64
import time

import pytest

from ingest import errors
from tests.figures import Tell
from tests.ingest import mutations
from tests.ingest.mutations import ALICE, ALICE_TOO, BOB, GETS, POSTS
from tests.ingest.signed_requests import Request, receive

LEAST = 10_000


def accepted(request: Request) -> bool:
    """Whether the edge takes it. Any other error than a problem would be an answer 500, and fails the test."""
    try:
        receive(request)
    except errors.Problem:
        return False
    return True


def same_signature(sent: Request, changed: Request) -> bool:
    """Whether only the case of a hexadecimal signature of a GET differs: another writing, not another signature."""
    texts = [request.headers.get(b"x-signature", b"") for request in (sent, changed)]
    same_otherwise = changed.with_header(b"x-signature", texts[0]) == sent
    return not sent.body and same_otherwise and len(texts[0]) == 128 and texts[0].lower() == texts[1].lower()


def test_no_mutation_is_accepted(tell: Tell) -> None:
    started, counts = time.monotonic(), dict.fromkeys((kind.__name__ for kind in mutations.ALL), 0)
    wrongly: list[tuple[str, Request]] = []
    for kind in mutations.ALL:
        for sent, changed in kind():
            assert changed != sent
            if same_signature(sent, changed):
                continue
            counts[kind.__name__] += 1
            if accepted(changed):
                wrongly.append((kind.__name__, changed))
    took_s = time.monotonic() - started
    tell(f"{sum(counts.values())} mutations, {len(wrongly)} accepted, {took_s:.1f} s: {counts}")
    assert wrongly[:5] == []
    assert sum(counts.values()) >= LEAST
    assert min(counts.values()) > 0


@pytest.mark.parametrize("request_", [*POSTS, *GETS, *BOB.requests()], ids=lambda sent: sent.row.name)
def test_the_requests_themselves_are_accepted(request_: Request) -> None:
    assert accepted(request_)


@pytest.mark.parametrize("request_", [*ALICE.requests(), *ALICE_TOO.requests()], ids=lambda sent: sent.row.name)
def test_other_writings_of_the_signature_are_accepted(request_: Request) -> None:
    raw = request_.signature()
    padded, urlsafe = base64.b64encode(raw).decode(), base64.urlsafe_b64encode(raw).decode()
    mixed = "".join(char.upper() if at % 2 else char for at, char in enumerate(raw.hex()))
    for text in (raw.hex(), raw.hex().upper(), mixed, padded, padded.rstrip("="), urlsafe, urlsafe.rstrip("=")):
        assert accepted(request_.signed_again(text)), text
        if request_.body and text.encode() != request_.headers[b"x-signature"]:
            assert not accepted(request_.with_header(b"x-signature", text.encode())), text  # header and body must agree
