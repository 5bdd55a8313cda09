"""Signatures by Standard Webhooks."""

from __future__ import annotations

import base64

import pytest

from processors.delivery.signing import headers, parse_secret
from tests.processors.delivery.samples import SECRET

# libraries/go/webhook_test.go, TestWebhookSign, in standard-webhooks/standard-webhooks; the other libraries have it too.
VECTOR = ("msg_p5jXN8AQM9LWM0D4loKWxJek", 1614265330, b'{"test": 2432232314}')
SIGNATURE = "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="


def test_the_conventions_own_example() -> None:
    assert headers(*VECTOR, [parse_secret(SECRET)]) == {
        "webhook-id": VECTOR[0],
        "webhook-timestamp": "1614265330",
        "webhook-signature": SIGNATURE,
    }


def test_each_key_signs_during_a_rotation() -> None:
    signature = headers(*VECTOR, [b"n" * 32, parse_secret(SECRET)])["webhook-signature"]
    new, old = signature.split(" ")
    assert old == SIGNATURE
    assert new != old


@pytest.mark.parametrize(
    "text",
    [
        "", "whsec_", SECRET.removeprefix("whsec_"), "whsec_!!!", "whsk_" + SECRET[6:], SECRET + "!",
        "whsec_" + base64.b64encode(b"x" * 23).decode(), "whsec_" + base64.b64encode(b"x" * 65).decode(), "whsec_ü",
    ],
)  # fmt: skip
def test_what_is_no_secret_is_told_without_it(text: str) -> None:
    with pytest.raises(ValueError, match="a secret") as raised:
        parse_secret(text)
    assert len(text) <= 6 or text.removeprefix("whsec_") not in str(raised.value)
