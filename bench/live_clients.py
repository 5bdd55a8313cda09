"""The fleet of row ``live`` in a process of its own, so that its processor time is known.

``python -m bench.live_clients PORT TOKEN_KEYS_FILE CLIENTS INTERVAL_S SECONDS`` prints the report of ``fleet.report``.
"""

from __future__ import annotations

import asyncio
import json
import sys
import time
from pathlib import Path
from typing import Any

import uvloop

from fleet.client import make_clients
from fleet.live import LiveFleet, Settings
from fleet.pool import Target
from fleet.report import mark, report
from ingest.tokens import TokenKeys

NAME = "live"


async def run(port: int, token_keys: Path, count: int, interval_s: int, seconds: float) -> dict[str, Any]:
    """Beat for so long after all have begun, which takes one interval."""
    clients = make_clients(NAME, count, time.time_ns() // 1_000_000)
    tokens, expires_s = TokenKeys.from_file(token_keys), int(time.time()) + 86_400
    for client in clients:
        client.admit(tokens.issue(client.client_id, client.public_key, 1, expires_s))
    fleet = LiveFleet(clients, Target("127.0.0.1", port), Settings(interval_ms=interval_s * 1000, seed=NAME))
    began = mark(fleet)
    fleet.start(interval_s * 1000)
    fleet.wind()
    await asyncio.sleep(interval_s + seconds)
    found = report(fleet, began)
    await fleet.close()
    return found


if __name__ == "__main__":
    port, token_keys, count, interval_s, seconds = sys.argv[1:]
    print(json.dumps(uvloop.run(run(int(port), Path(token_keys), int(count), int(interval_s), float(seconds)))))
