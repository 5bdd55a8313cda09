from __future__ import annotations

import pytest

from fleet.client import make_clients
from fleet.live import LiveFleet, Settings
from fleet.pool import Target
from infra.fleet_run import _registered
from infra.fleet_state import FleetState
from schemas.messages import ClientConfig, RegistrationAnswer


@pytest.mark.parametrize(("given_ms", "expected_ms"), [(0, 45_000), (5_000, 5_000)])
def test_without_an_interval_of_its_own_a_fleet_beats_as_its_registration_says(given_ms: int, expected_ms: int) -> None:
    [client] = clients = make_clients("interval", 1, 0)
    LiveFleet(clients, Target("127.0.0.1", 1), Settings(interval_ms=given_ms) if given_ms else Settings())
    config = ClientConfig(
        heartbeat_interval=45, policy_version=1, sealing_key="", sealing_key_id="", policy_key="", privacy_mode="seal"
    )
    answer = RegistrationAnswer(client_id=client.client_id, api_key="key", expires_at=1, config=config)
    _registered(FleetState(None), None, client, answer)
    assert client.interval_ms == expected_ms
