"""What the client library fills up against traffic analysis, the edge takes as if it were not."""

from __future__ import annotations

import json

import pytest

from tests.rust_client import BASE, RustClient, now_ms
from tests.schemas import messages_samples as samples
from viworks.transport import HttpTransport, TrafficShape
from viworks.transport.shape import BATCH_MEDIA_TYPE

pytestmark = pytest.mark.asyncio(loop_scope="session")


async def test_messages_and_batches(client: RustClient) -> None:
    transport = HttpTransport(str(client.http.base_url).rstrip("/"), shape=TrafficShape())
    body, signature = samples.sign_as_rust(samples.heartbeat(now_ms(), client.client_id), client.seed)
    alone = await transport.request("POST", f"{BASE}heartbeat", client.headers(signature), body)
    line = b'{"type":"heartbeat","message":' + body + b"}"
    headers = {**client.headers(""), "Content-Type": BATCH_MEDIA_TYPE}
    batch = await transport.request("POST", f"{BASE}batch", headers, b"\n".join([line] * 100))
    await transport.close()
    assert alone.status == 202
    assert (batch.status, json.loads(batch.body)["accepted"]) == (200, 100)
    assert len(json.loads(batch.body)["results"]) == 100
