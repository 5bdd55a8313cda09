"""The limits that the simulated processors run with: short, so that a short run reaches all of them."""

from __future__ import annotations

from processors.fleet import FleetLimits
from processors.watermark import ClockLimits

INTERVAL_MS = 1_000
GRACE_MS, SILENCE_MS, GAP_MS, NEVER_CAME_MS = 200, 4_000, 2_000, 5_000
LIMITS = FleetLimits(GRACE_MS, ClockLimits(SILENCE_MS, GAP_MS), NEVER_CAME_MS, last_seen_every_ms=3_000)
MAINTENANCE_MS, GONE_MS = 7_000, 12_000

START_MS = 1_000_000
ACTIVE_MS = 30_000
"""Everything happens within this; what follows is quiet, so that whatever has to become known does."""
QUIET_MS = 24_000
END_MS = START_MS + ACTIVE_MS + QUIET_MS
