"""Whether a broker answers. Asked over a plain socket first: a Kafka client logs an error for every refused connection."""

from __future__ import annotations

import asyncio

from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.errors import KafkaError

from infra.errors import BrokerUnreachable

_ATTEMPT_S = 2.0
_POLL_S = 0.2


async def answers(bootstrap: str) -> bool:
    """Whether a client gets metadata with at least one live broker from ``bootstrap`` (host:port, several by commas)."""
    try:
        # Not wait_for: on Python 3.11 it swallows a cancellation that comes together with the result.
        async with asyncio.timeout(_ATTEMPT_S):
            return await _attempt(bootstrap)
    except (OSError, KafkaError, TimeoutError):
        return False


async def require_answer(bootstrap: str, timeout_s: float) -> None:
    """Wait for an external broker.

    Raises:
        BrokerUnreachable: none answers within ``timeout_s`` seconds.
    """
    try:
        async with asyncio.timeout(timeout_s):
            while not await answers(bootstrap):  # noqa: ASYNC110 - a broker elsewhere
                await asyncio.sleep(_POLL_S)
    except TimeoutError:
        raise BrokerUnreachable(
            f"No Kafka broker answers at {bootstrap}: check --kafka (VIWORKS_KAFKA), or leave it out for the embedded one."
        ) from None


async def _attempt(bootstrap: str) -> bool:
    if not any([await _connects(server.strip()) for server in bootstrap.split(",")]):
        return False
    admin = AIOKafkaAdminClient(bootstrap_servers=bootstrap)
    try:
        await admin.start()
        return bool((await admin.describe_cluster())["brokers"])
    finally:
        await admin.close()


async def _connects(server: str) -> bool:
    host, _, port = server.rpartition(":")
    try:
        _, writer = await asyncio.open_connection(host.strip("[]"), int(port))
    except (OSError, ValueError):
        return False
    writer.close()
    return True
