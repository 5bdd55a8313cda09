"""The console's way to the data: queries over the SQL port, nothing else."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import httpx2
import msgspec


class WarehouseAway(Exception):
    """The SQL port did not answer, or refused the query."""


class Warehouse:
    """Reads rows over ClickHouse's HTTP interface."""

    def __init__(self, host: str, port: int, token_file: Path) -> None:
        token = token_file.read_text().strip()
        self._client = httpx2.AsyncClient(
            base_url=f"http://{host}:{port}", auth=("console", token), timeout=10.0, trust_env=False
        )

    async def rows(self, query: str) -> list[dict[str, Any]]:
        """The rows of a query, each by column name. Raises WarehouseAway."""
        try:
            answer = await self._client.post("/", params={"default_format": "JSON"}, content=query.encode())
        except httpx2.TransportError as error:
            raise WarehouseAway(type(error).__name__) from error
        if answer.status_code != 200:
            raise WarehouseAway(f"HTTP {answer.status_code}")
        document: dict[str, Any] = msgspec.json.decode(answer.content)
        return list(document["data"])

    async def close(self) -> None:
        """Release the connections."""
        await self._client.aclose()
