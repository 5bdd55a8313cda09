"""What a run was: figures for people and, as JSON, for programs."""

from __future__ import annotations

import os
import resource
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

from fleet.live import LiveFleet


class Mark(NamedTuple):
    """The process at a moment: seconds of the clock and of processor time, and attempts so far."""

    at_s: float
    cpu_s: float
    sent: int


def mark(fleet: LiveFleet) -> Mark:
    """Now."""
    return Mark(time.monotonic(), time.process_time(), fleet.simulation.tally.sent.total())


def report(fleet: LiveFleet, since: Mark) -> dict[str, Any]:
    """All that is known of a run that began at a mark."""
    tally, deliveries, now = fleet.simulation.tally, fleet.deliveries, mark(fleet)
    took_s, sent = max(now.at_s - since.at_s, 1e-9), max(1, now.sent - since.sent)
    return {
        "clients": len(fleet.simulation.clients),
        "seconds": round(took_s, 1),
        "connections": {"limit": fleet.connections or "one each", "open": fleet.open_connections},
        "sent": dict(tally.sent),
        "accepted": dict(tally.accepted),
        "messages": {
            "accepted": deliveries.accepted,
            "refused": deliveries.refused,
            "lost": deliveries.lost,
            "spooled": deliveries.waiting,
        },
        "verdicts": [
            {"kind": kind, "status": status, "problem": problem, "count": count}
            for (kind, status, problem), count in tally.verdicts.most_common()
        ],
        "latency_ms": {kind: histogram.summary() for kind, histogram in tally.latencies.items()},
        "answer_ms": tally.answers.summary(),
        "lateness_ms": tally.lateness.summary(),
        "retries": tally.notes["retries"],
        "notes": {name: count for name, count in tally.notes.items() if name != "retries"},
        "rate_per_s": {"median": tally.steady_per_s(), "peak": tally.peak_per_s()},
        "cpu": {
            "seconds": round(now.cpu_s - since.cpu_s, 2),
            "share": round((now.cpu_s - since.cpu_s) / took_s, 3),
            "us_per_request": round((now.cpu_s - since.cpu_s) / sent * 1e6, 1),
        },
        "memory_mb": round(resident_bytes() / 1e6, 1),
    }


def lines(content: dict[str, Any]) -> Iterator[str]:
    """The report for people."""
    yield f"{content['clients']:,} clients for {content['seconds']:,.0f} s, {content['connections']['open']:,} connections"
    for kind, count in content["sent"].items():
        spread = content["latency_ms"].get(kind)
        times = (
            f"p50 {spread['p50']:,} p95 {spread['p95']:,} p99 {spread['p99']:,} max {spread['max']:,} ms" if spread else ""
        )
        yield f"  {kind:<12}{count:>12,} sent {content['accepted'].get(kind, 0):>12,} accepted  {times}"
    messages = content["messages"]
    yield f"  messages    {', '.join(f'{count:,} {name}' for name, count in messages.items())}"
    for verdict in content["verdicts"]:
        yield f"  {verdict['kind']:<20}{verdict['status'] or 'none':>5} {verdict['problem']:<28}{verdict['count']:>10,}"
    rate, late = content["rate_per_s"], content["lateness_ms"]
    yield f"  rate        {rate['median']:,.0f}/s median, {rate['peak']:,}/s peak; {content['retries']:,} retries"
    yield f"  schedule    p50 {late['p50']:,} p99 {late['p99']:,} max {late['max']:,} ms late"
    for name, count in content["notes"].items():
        yield f"  {name}: {count:,}"
    cpu = content["cpu"]
    yield f"  processor   {cpu['share']:.0%} of one, {cpu['us_per_request']:,.0f} us a request"
    yield f"  memory      {content['memory_mb']:,.0f} MB"


def resident_bytes() -> int:
    """Resident memory now; where the system does not tell, the most that it ever was."""
    try:
        return int(Path("/proc/self/statm").read_text("ascii").split()[1]) * os.sysconf("SC_PAGE_SIZE")
    except OSError:
        most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        return most if sys.platform == "darwin" else most * 1024
