"""The part that delivers alerts: one runner a receiver, and an eye on the receivers file."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor

from prometheus_client import start_http_server

from processors.clock import Clock, system_clock
from processors.delivery import metrics
from processors.delivery.errors import ReceiversInvalid
from processors.delivery.receivers import Receiver
from processors.delivery.receivers_file import read_receivers
from processors.delivery.runner import Runner
from processors.delivery.senders import sender_of
from processors.delivery.settings import DeliverySettings

log = logging.getLogger(__name__)

_READY_WITHIN_S = 10.0
_THREADS = 256


async def serve(settings: DeliverySettings, ready: Callable[[], None], clock: Clock = system_clock) -> None:
    """Deliver until cancelled; ``ready`` is called once every receiver has its share of the topic, or Kafka is slow.

    Raises:
        ReceiversInvalid: the receivers file does not fit at the start. Later the receivers stay as they were.
    """
    receivers = read_receivers(settings.receivers)
    # Names are resolved on these: receivers whose name servers are silent must leave threads for the others.
    asyncio.get_running_loop().set_default_executor(ThreadPoolExecutor(_THREADS, "delivery"))
    fleet = Receivers(settings, clock)
    with _metrics_port(settings):
        try:
            await fleet.become(receivers)
            await fleet.joined(_READY_WITHIN_S)
            ready()
            await _follow(settings, fleet)
        finally:
            await fleet.become([])


@contextlib.contextmanager
def _metrics_port(settings: DeliverySettings) -> Iterator[None]:
    if settings.delivery_metrics_port is None:
        yield
        return
    server, thread = start_http_server(settings.delivery_metrics_port, settings.metrics_host)
    try:
        yield
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


class Receivers:
    """The receivers that are served now."""

    def __init__(self, settings: DeliverySettings, clock: Clock) -> None:
        self._settings = settings
        self._clock = clock
        self._served: dict[str, tuple[Receiver, Runner, asyncio.Task[None]]] = {}

    async def become(self, wanted: Sequence[Receiver]) -> None:
        """End what is gone or changed, start what is new or changed, leave the others alone."""
        keep = {receiver.name for receiver in wanted if self._serves(receiver)}
        ending = [self._end(name) for name in list(self._served) if name not in keep]
        await asyncio.gather(*ending)
        for receiver in wanted:
            if receiver.name not in keep:
                self._start(receiver)

    async def joined(self, within_s: float) -> None:
        """Wait until each has joined its group, for so long at the most."""
        waiting = [asyncio.ensure_future(runner.joined.wait()) for _, runner, _ in self._served.values()]
        if waiting:
            _, late = await asyncio.wait(waiting, timeout=within_s)
            for task in late:
                task.cancel()

    def _serves(self, receiver: Receiver) -> bool:
        return receiver.name in self._served and self._served[receiver.name][0] == receiver

    def _start(self, receiver: Receiver) -> None:
        metrics.begin(receiver.name)
        runner = Runner(sender_of(receiver, self._clock), self._settings, self._clock)
        self._served[receiver.name] = receiver, runner, asyncio.create_task(runner.run())
        log.info("alerts go to %s (%s)", receiver.name, receiver.kind)

    async def _end(self, name: str) -> None:
        _, runner, task = self._served.pop(name)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        await runner.close()
        metrics.end(name)
        log.info("alerts go to %s no more", name)


async def _follow(settings: DeliverySettings, fleet: Receivers) -> None:
    """Look at the file now and then, secrets included; a file that does not fit is told once and changes nothing."""
    told: tuple[str, ...] = ()
    while True:
        await asyncio.sleep(settings.delivery_reload_s)
        try:
            await fleet.become(await asyncio.to_thread(read_receivers, settings.receivers))
            told = ()
        except ReceiversInvalid as error:
            if error.faults != told:
                log.error("the receivers stay as they were: %s", error)
            told = error.faults
