"""Clients that do what clients do: beat, fall silent, say goodbye, go into maintenance, reboot, set their clocks."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from random import Random

from processors.liveness import Heartbeat
from tests.simulation.limits import ACTIVE_MS, END_MS, GONE_MS, INTERVAL_MS, MAINTENANCE_MS, START_MS

Sent = tuple[int, Heartbeat]


@dataclass(slots=True)
class _Device:
    """The client's side of its heartbeats. ``told_ms``: the interval that its last answer named."""

    name: str
    now: int
    boot: int
    skew: int = 0
    interval: int = INTERVAL_MS
    told_ms: int = INTERVAL_MS
    maintenance: int = MAINTENANCE_MS
    gone: int = GONE_MS

    def beat(self, status: str) -> Sent:
        """A heartbeat now; the edge stamps the interval that is in force, which the client may not know yet."""
        uptime = (self.now - self.boot) / 1000
        return self.now, Heartbeat(
            self.name, self.now + self.skew, status, self.interval, 0, uptime, self.maintenance, self.gone
        )


def heartbeats(random: Random, name: str) -> Iterator[Sent]:
    """What a client sends, in its order; ``received_at`` is left to the edge."""
    device = _Device(name, START_MS + random.randrange(3_000), START_MS - random.choice((0, 500, 100_000)))
    until = START_MS + ACTIVE_MS
    while device.now < until:
        yield from _phase(random, device, until)
    if random.random() < 0.5:
        yield from _beats(random, device, "online", END_MS)


def _phase(random: Random, device: _Device, until: int) -> Iterator[Sent]:
    ends = min(until, device.now + random.randrange(1_000, 12_000))
    kind = random.choices(
        ("online", "silent", "error", "maintenance", "goodbye", "reboot", "clock", "interval", "terms"),
        (10, 4, 2, 3, 2, 2, 2, 2, 1),
    )[0]
    if kind == "silent":
        device.now = ends
    elif kind == "goodbye":
        yield device.beat("offline")
        device.now += random.choice((500, 3_000, 15_000))
    elif kind == "maintenance":
        yield from _beats(random, device, "maintenance", random.choice((device.now + 1, ends, device.now + 10_000)))
        device.now += random.choice((0, 0, 9_000))
    elif kind == "reboot":
        device.now += random.randrange(300, 2_000)
        device.boot = device.now - 100
    elif kind == "clock":
        device.skew += random.choice((-5_000, -1_500, 1_500, 5_000))
    elif kind == "interval":
        device.interval = random.choice((500, 1_000, 2_000))
    elif kind == "terms":
        device.maintenance, device.gone = random.choice((3_000, MAINTENANCE_MS)), random.choice((9_000, GONE_MS))
    else:
        yield from _beats(random, device, kind, ends)


def _beats(random: Random, device: _Device, status: str, until: int) -> Iterator[Sent]:
    while device.now < until:
        yield device.beat(status)
        device.now += int(device.told_ms * (0.9 + 0.2 * random.random()))
        device.told_ms = device.interval
