"""Takes an order through: carried out once, noted, audited, answered. Decides nothing about what orders do."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping
from functools import partial
from typing import TypeVar

from schemas.topics import AUDIT, VERDICTS
from sinks.batches import backoff_s
from sinks.engine import Engine, Session
from sinks.errors import EngineUnavailable, OrderRefused, RecordUndelivered, SinkError
from sinks.orders import ledger
from sinks.orders.order import Handler, Order, Outcome, Result, audit_of, verdict_of
from sinks.records import Outgoing

log = logging.getLogger(__name__)

_ATTEMPTS = 6
_LONGEST_WAIT_S = 10.0
T = TypeVar("T")

Write = Callable[[list[Outgoing]], Awaitable[None]]


class Clerk:
    """Carries out one order at a time.

    Args:
        handlers: by action.
        write: puts records on their topics; raises RecordUndelivered.
    """

    def __init__(self, engine: Engine, handlers: Mapping[str, Handler], write: Write, now_ms: Callable[[], int]) -> None:
        self._engine = engine
        self._handlers = handlers
        self._write = write
        self._now_ms = now_ms

    async def settle(self, order: Order) -> None:
        """Return when the order is carried out, or refused, and all replicas have its audit record and its verdict.

        Waits for an engine or a broker that is away. A cancellation waits for what is being carried out.
        """
        attempt = 0
        while True:
            try:
                result = await in_thread(partial(self._result, order, last=attempt + 1 >= _ATTEMPTS))
                await self._write([Outgoing(AUDIT, audit_of(order, result))])
                await self._write([Outgoing(VERDICTS, verdict_of(order, result, self._now_ms()))])
                log.info("order %s: %s", order.action, result.outcome)
                return
            except (EngineUnavailable, RecordUndelivered) as error:
                log.warning("order %s waits: %s: %s", order.action, type(error).__name__, error)
            await asyncio.sleep(backoff_s(attempt, _LONGEST_WAIT_S))
            attempt += 1

    def _result(self, order: Order, last: bool) -> Result:
        session = self._engine.session()
        try:
            found = ledger.answered(session, order)
            if found is None:
                found = self._carried_out(order, session, last)
                ledger.note(session, order, found, self._now_ms())
            return found
        finally:
            session.close()

    def _carried_out(self, order: Order, session: Session, last: bool) -> Result:
        handler = self._handlers.get(order.action)
        if handler is None:
            return _refused("there is no such order to the warehouse")
        try:
            return Result(Outcome.ACCEPTED, handler(order, session))
        except OrderRefused as error:
            return _refused(str(error))
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            log.error("order %s does not fit: %s", order.action, type(error).__name__)
            return _refused("its arguments do not fit")
        except EngineUnavailable as error:
            # A statement that is refused looks like an engine that is away, and must not hold up the orders behind it.
            if not last:
                raise
            return _failed(error)
        except SinkError as error:
            return _failed(error)


async def in_thread(work: Callable[[], T]) -> T:
    """Run blocking work; a cancellation waits for its end, so that nothing goes on behind the back of whoever cancelled."""
    task = asyncio.ensure_future(asyncio.to_thread(work))
    try:
        return await asyncio.shield(task)
    except asyncio.CancelledError:
        await asyncio.wait([task])
        raise


def _refused(reason: str) -> Result:
    return Result(Outcome.REFUSED, {"reason": reason})


def _failed(error: SinkError) -> Result:
    return Result(Outcome.FAILED, {"reason": f"{type(error).__name__}: {error}"})
