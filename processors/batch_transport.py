"""Faust's Kafka transport with three changes, at the places that Faust has for them.

- What one fetch brings of one partition goes through Faust as *one* event whose value is the list of records: most of
  Faust's cost is per event. Partitions, flow control, acknowledgements, tables and recovery stay Faust's. Of a changelog it
  is told the last record only (``changelog_batches``).
- An offset is committed only when everything that was handed out before it is done. Faust 0.15.3 commits past an
  unfinished event (faust-streaming issue 606).
- Nothing is fetched and then dropped at the end of a recovery. Faust 0.15.3 lets a fetch that is under way see the set of
  active partitions empty, which means "all" there, drops what that brings, and seeks back only what has a committed offset.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import AsyncIterator, Collection, Sequence
from typing import Any, cast

import faust
from aiokafka import AIOKafkaConsumer, ConsumerRecord
from faust.transport.drivers import aiokafka as driver
from faust.types import TP, ConsumerMessage

from processors import changelog_batches

Records = Sequence[ConsumerRecord]

_RECOVERY_FETCH_S = 0.05


class BatchSchema(faust.Schema[Any, Any]):
    """Hands the list of records through as it is; decoding is the agents', record by record."""

    def loads_value(self, app: Any, message: Any, **_: Any) -> Any:
        """The batch."""
        return message.value

    def loads_key(self, app: Any, message: Any, **_: Any) -> Any:
        """A batch has no key."""
        return message.key


class BatchConsumer(driver.Consumer):
    """See the module's text."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._batched = cast(BatchTransport, self.transport).batched
        self._handed_out: defaultdict[TP, set[int]] = defaultdict(set)

    def _new_consumer_thread(self) -> driver.AIOKafkaConsumerThread:
        return _ConsumerThread(self, loop=self.loop, beacon=self.beacon)

    async def getmany(self, timeout: float) -> AsyncIterator[tuple[TP, ConsumerMessage]]:
        """Messages of what one fetch brought: one a partition, or one a record for changelogs."""
        fetched, active = await self._wait_next_records(timeout)
        generation = self.app.consumer_generation_id
        if self.should_stop or not fetched:
            return
        if not self.flow_active:
            await self.perform_seek()
            return
        for tp, records in fetched.items():
            if active is not None and tp not in active and tp not in self._buffered_partitions:
                continue
            for message in self._messages(tp, records):
                if self._is_over(generation):
                    return
                yield tp, message

    def _is_over(self, generation: int) -> bool:
        """Whether a rebalance came in between: it seeks, so that what is left is read again, by whoever has it then."""
        return not self.flow_active or self.app.consumer_generation_id != generation

    def _messages(self, tp: TP, records: Records) -> list[ConsumerMessage]:
        self.app.monitor.track_tp_end_offset(tp, self.highwater(tp))
        if tp.topic not in self._batched:
            if changelog_batches.take(self.app, tp, records):
                return [changelog_batches.in_place_of(self._to_message(tp, records[-1]))]
            return [self._to_message(tp, record) for record in records]
        # The message has the last record's offset, so that acknowledging it acknowledges all of them.
        message = self._to_message(tp, records[-1])
        message.key, message.value = None, cast(Any, records)
        self._handed_out[tp].add(message.offset)
        return [message]

    def ack(self, message: Any) -> bool:
        """Mark a message as done, unless a rebalance came in between: it is read again, by whoever has it then.

        Faust acknowledges what it skips after a rebalance, as if it had been handled.
        """
        if message.generation_id != self.app.consumer_generation_id:
            return False
        self._handed_out[message.tp].discard(message.offset)
        return super().ack(message)

    async def perform_seek(self) -> None:
        """Everything from the committed offset on is read again, so nothing counts as handed out."""
        self._handed_out.clear()
        await super().perform_seek()
        fresh = [tp for tp in self.assignment() if tp.topic in self._batched and not self._read_offset[tp]]
        if fresh:
            await self._thread.seek_to_beginning(*driver.ensure_aiokafka_TPset(fresh))

    async def _getmany(self, active_partitions: set[TP] | None, timeout: float) -> Any:
        # The set is changed in place while a fetch waits in the consumer's thread; a short wait makes up for the copy.
        wait_s = min(timeout, _RECOVERY_FETCH_S) if self.app.rebalancing else timeout
        return await super()._getmany(None if active_partitions is None else set(active_partitions), wait_s)

    async def _add_gap(self, tp: TP, offset_from: int, offset_to: int) -> None:
        """Offsets that Kafka left out need no bookkeeping here: what was never handed out holds nothing up."""

    def _new_offset(self, tp: TP) -> int | None:
        unfinished = min(self._handed_out[tp], default=None)
        done = [offset for offset in self._acked[tp] if unfinished is None or offset < unfinished]
        if not done:
            return None
        self._acked[tp] = [offset for offset in self._acked[tp] if offset not in set(done)]
        self._acked_index[tp].difference_update(done)
        return max(done) + 1


class _ConsumerThread(driver.AIOKafkaConsumerThread):
    def _create_worker_consumer(self, transport: Any) -> AIOKafkaConsumer:
        # Faust asks the broker to hold an empty fetch for 1.5 s; until it answers, partitions that are not part of that
        # fetch have to wait. No setting leads there.
        consumer = super()._create_worker_consumer(transport)
        consumer._fetch_max_wait_ms = transport.fetch_max_wait_ms
        return consumer


class BatchTransport(driver.Transport):
    """``batched``: the topics whose records come in batches. ``fetch_max_wait_ms``: see ``ProcessorSettings``."""

    Consumer = BatchConsumer

    def __init__(self, *args: Any, batched: Collection[str], fetch_max_wait_ms: int, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.batched = frozenset(batched)
        self.fetch_max_wait_ms = fetch_max_wait_ms
