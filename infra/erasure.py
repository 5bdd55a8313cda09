"""Erases a client for ``viworks erase``: the registry forgets it, then the warehouse, by the pseudonym of the audit log.

The registry comes first, so that nothing new of the client is taken; its audit record is waited for, since it names the
client too and must have its pseudonym before that loses its meaning. Each step may be done again.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import Any

from clickhouse_connect.driver import Client
from clickhouse_connect.driver.exceptions import ClickHouseError

from infra.administration import carried_out, order
from infra.errors import OrderRefused, WarehouseUnusable
from processors.registry.decision import audit_id_of
from schemas.topics import REGISTRATIONS, WAREHOUSE_ORDERS, Topic
from sinks.erasure import CLIENT_ID

_HOLDS = (
    "SELECT name FROM viworks.holds FINAL WHERE NOT released AND (empty(client_ids) OR has(client_ids, {client:String}))"
)
_PSEUDONYM = "SELECT subject FROM viworks.audit_log WHERE audit_id = {audit_id:String} AND action = 'client.erase'"
_POLL_S = 0.5


@dataclass(frozen=True, slots=True)
class Erasing:
    """How a client is erased.

    Attributes:
        bootstrap: the broker.
        client: reads the warehouse as an admin.
        actor: who asks for it.
        settle_s: how long what the edges had accepted may be under way to the warehouse.
        within_s: how long each step may take.
    """

    bootstrap: str
    client: Client
    actor: str
    settle_s: float = 10.0
    within_s: float = 600.0

    async def erase(self, client_id: str, reason: str) -> dict[str, Any]:
        """Return what was done, as the warehouse says.

        Raises:
            OrderRefused: no client id, or a legal hold covers it.
            NotDecided, BrokerUnreachable: see ``administration.order``.
            WarehouseUnusable: the warehouse cannot be read, or does not show the registry's audit record in time.
        """
        if not CLIENT_ID.fullmatch(client_id):
            raise OrderRefused("Refused: this is no client id.")
        holds = await self._column(_HOLDS, client=client_id)
        if holds:
            raise OrderRefused(f"Refused: rows of the client are under the legal hold {', '.join(holds)}.")
        verdict = await self._order(client_id, "client.erase", {"reason": reason}, REGISTRATIONS)
        pseudonym = await self._pseudonym(audit_id_of("client.erase", verdict["request_id"]))
        await asyncio.sleep(self.settle_s)
        # Without the reason, which may say who it was.
        done = await self._order(pseudonym, "subject.erase", {}, WAREHOUSE_ORDERS)
        return carried_out(done) | {"pseudonym": pseudonym}

    async def _order(self, subject: str, action: str, body: dict[str, Any], topic: Topic) -> dict[str, Any]:
        verdict = await order(self.bootstrap, subject, action, body, self.actor, self.within_s, topic)
        carried_out(verdict)
        return verdict

    async def _pseudonym(self, audit_id: str) -> str:
        for _ in range(int(self.within_s / _POLL_S)):
            found = await self._column(_PSEUDONYM, audit_id=audit_id)
            if found:
                return found[0]
            await asyncio.sleep(_POLL_S)
        raise WarehouseUnusable(
            f"The audit record of the registry is not in the warehouse after {self.within_s:.0f} s: see that the sink runs, "
            "and give the command again. The registry has forgotten the client, its rows are still there."
        )

    async def _column(self, sql: str, **parameters: str) -> list[str]:
        try:
            answer = await asyncio.to_thread(self.client.query, sql, parameters)
        except (ClickHouseError, OSError) as error:
            raise WarehouseUnusable(f"The warehouse cannot be read: {type(error).__name__}.") from None
        return [str(row[0]) for row in answer.result_rows]
