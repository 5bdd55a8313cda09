"""The one place that starts a part in this process: ``viworks run edge|processors|sink|console|delivery|demo``."""

from __future__ import annotations

import asyncio
import contextlib
import importlib
import logging
import signal
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

from pydantic import ValidationError

from infra.errors import InfraError, PartUnknown, SettingsInvalid
from infra.log_lines import configure_logging
from infra.notify import READY, STOPPING, notify
from infra.settings import InfraSettings, explain

log = logging.getLogger(__name__)

Serve = Callable[[Any, Callable[[], None]], Awaitable[None]]

# A part that has not ended this long after it was asked to is ended by the kernel, also where nobody is left to do it.
_LAST_RESORT_S = 20


@dataclass(frozen=True, slots=True)
class Entry:
    """Where a part's settings and its ``serve`` are, as ``module:name``, so that only the part that runs is imported."""

    settings: str
    serve: str
    uvloop: bool = True


ENTRIES = {
    "edge": Entry("ingest.settings:EdgeSettings", "ingest.server:serve"),
    # Faust brings and steers an event loop of its own.
    "processors": Entry("processors.settings:ProcessorSettings", "processors.worker:serve", uvloop=False),
    "sink": Entry("sinks.settings:SinkSettings", "sinks.server:serve"),
    "console": Entry("console.settings:ConsoleSettings", "console.server:serve"),
    # uvloop resolves names on four threads for all: one receiver whose name server is silent would hold up the others.
    "delivery": Entry("processors.delivery.settings:DeliverySettings", "processors.delivery.server:serve", uvloop=False),
    "demo": Entry("infra.settings:InfraSettings", "infra.parts:serve_demo"),
}


def run_part(name: str) -> int:
    """Run a part until SIGINT or SIGTERM, and return the exit status: 0 after a stop, 1 after a fault, which is logged.

    Raises:
        PartUnknown: there is no such part.
        SettingsInvalid: its settings do not fit.
    """
    if name not in ENTRIES:
        raise PartUnknown(f"There is no part {name!r}: it is one of {', '.join(ENTRIES)}.")
    configure_logging()
    entry = ENTRIES[name]
    settings = _settings(entry)
    serve: Serve = _load(entry.serve)
    with asyncio.Runner(loop_factory=_loop_factory(entry)) as runner:
        status = runner.run(until_stopped(name, serve(settings, lambda: notify(READY))))
        # The loop's end waits for every task that is left; one that takes no cancellation would keep a dead part alive.
        signal.alarm(_LAST_RESORT_S)
    signal.alarm(0)
    return status


async def until_stopped(name: str, serving: Awaitable[None]) -> int:
    """Await ``serving``; a first SIGINT or SIGTERM cancels it. Returns the exit status."""
    task = asyncio.ensure_future(serving)
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, _stop, task)
    try:
        await task
    except asyncio.CancelledError:
        log.info("%s stopped", name)
        return 0
    except InfraError as error:
        log.critical("%s", error)
        return 1
    except Exception:
        log.critical("%s failed", name, exc_info=True)
        return 1
    return 0


async def serve_demo(settings: InfraSettings, ready: Callable[[], None]) -> None:
    """Run the simulated clients; imported here, since only this part knows the client library."""
    from infra.demo import run

    await run(settings, settings.demo, ready)


def _stop(task: asyncio.Future[None]) -> None:
    notify(STOPPING)
    signal.alarm(_LAST_RESORT_S)
    task.cancel()


def _settings(entry: Entry) -> Any:
    try:
        return _load(entry.settings)()
    except ValidationError as error:
        raise SettingsInvalid(explain(error)) from None


def _load(place: str) -> Any:
    module, _, name = place.partition(":")
    return getattr(importlib.import_module(module), name)


def _loop_factory(entry: Entry) -> Callable[[], asyncio.AbstractEventLoop] | None:
    if entry.uvloop:
        with contextlib.suppress(ImportError):
            import uvloop

            return uvloop.new_event_loop
    return None
