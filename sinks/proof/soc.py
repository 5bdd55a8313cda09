"""The SOC's private key, on the machine of an analyst who may see everything. No server has it."""

from __future__ import annotations

from schemas.sealing import SealingKey
from schemas.sealing_suites import PrivateKey


class SocKey:
    """Opens envelopes. ``key_id`` is the name by which envelopes name it."""

    def __init__(self, private_key: PrivateKey) -> None:
        self.private_key = private_key
        self.key_id = SealingKey(private_key.public_key()).key_id
