"""What a simulated fleet keeps from one run to the next: its clients' API keys. Their own keys follow from its name."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import msgspec

from fleet.client import SimulatedClient
from infra.durable_files import private_directory, write_atomically
from infra.errors import FleetNotRun

_FILE = "clients.json"
# A key that ends within the run would be of little use.
_LEFT_MS = 3_600_000


class Kept(msgspec.Struct, frozen=True):
    """One client's API key, when it ends and the interval that came with it; milliseconds."""

    api_key: str
    expires_at: int
    interval_ms: int


class FleetState:
    """The state in ``directory``; None keeps nothing."""

    def __init__(self, directory: Path | None) -> None:
        """Raises FleetNotRun where the file of a former run cannot be read."""
        self._directory = private_directory(directory) if directory else None
        self._kept: dict[str, Kept] = self._read()

    def restore(self, clients: Sequence[SimulatedClient], now_ms: int) -> list[SimulatedClient]:
        """Give clients what they had; returns those that must register."""
        missing = []
        for client in clients:
            kept = self._kept.get(client.client_id)
            if kept is None or kept.expires_at < now_ms + _LEFT_MS:
                missing.append(client)
                continue
            client.admit(kept.api_key)
            client.interval_ms = kept.interval_ms
        return missing

    def note(self, client: SimulatedClient, api_key: str, expires_at: int, interval_ms: int) -> None:
        """A client has registered."""
        if self._directory is not None:
            self._kept[client.client_id] = Kept(api_key, expires_at, interval_ms)

    def write(self) -> None:
        """Keep it for the next run, where only the owner may read it."""
        if self._directory is not None:
            write_atomically(self._directory / _FILE, msgspec.json.encode(self._kept))

    def _read(self) -> dict[str, Kept]:
        if self._directory is None:
            return {}
        try:
            return msgspec.json.decode((self._directory / _FILE).read_bytes(), type=dict[str, Kept])
        except FileNotFoundError:
            return {}
        except (OSError, msgspec.MsgspecError):
            raise FleetNotRun(
                f"{self._directory / _FILE} cannot be read: remove it, and the clients register anew."
            ) from None
