"""Records of the policies' topic, as the registry writes them."""

from __future__ import annotations

import json
from typing import Any

from aiokafka import AIOKafkaProducer

from schemas import codec
from schemas.topics import POLICIES


def policy_record(policy_id: str, version: int, selector: dict[str, str] | None = None, **changes: Any) -> dict[str, Any]:
    body = {"reporting": ["heartbeat"], "key_max_age_s": None, "priority": 0, "requests": []}
    body |= {name: changes.pop(name) for name in tuple(changes) if name in body}
    record = {
        "policy_id": policy_id,
        "version": version,
        "heartbeat_interval": 60,
        "selector": json.dumps(selector or {}),
        "body": json.dumps(body),
        "timestamp": 1_000,
        "actor": "admin",
        "deleted": False,
    }
    return record | changes


async def write_policy(bootstrap: str, record: dict[str, Any]) -> None:
    async with AIOKafkaProducer(bootstrap_servers=bootstrap, acks="all") as producer:
        value = codec.encode("policy", record)
        await producer.send_and_wait(POLICIES.name, value, key=record["policy_id"].encode())
