"""Signatures by the Standard Webhooks convention, symmetric scheme ``v1``.

Source: https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md
"""

from __future__ import annotations

import base64
import hmac
from collections.abc import Sequence

PREFIX = "whsec_"
LEAST_BYTES, MOST_BYTES = 24, 64


def parse_secret(text: str) -> bytes:
    """The key of ``whsec_<base64>``. Raises ValueError, without the text, for anything else."""
    if not text.startswith(PREFIX):
        raise ValueError(f"a secret does not begin with {PREFIX}")
    try:
        key = base64.b64decode(text.removeprefix(PREFIX), validate=True)
    except ValueError:
        raise ValueError("a secret is not in base64") from None
    if not LEAST_BYTES <= len(key) <= MOST_BYTES:
        raise ValueError(f"a secret has not {LEAST_BYTES} to {MOST_BYTES} bytes")
    return key


def headers(message_id: str, timestamp_s: int, body: bytes, keys: Sequence[bytes]) -> dict[str, str]:
    """The three headers of an attempt. Each key signs, so that receivers can go from an old to a new one."""
    content = f"{message_id}.{timestamp_s}.".encode() + body
    signatures = [f"v1,{base64.b64encode(hmac.digest(key, content, 'sha256')).decode()}" for key in keys]
    return {
        "webhook-id": message_id,
        "webhook-timestamp": str(timestamp_s),
        "webhook-signature": " ".join(signatures),
    }
