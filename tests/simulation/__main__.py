"""``python -m tests.simulation --seeds N --jobs J [--first SEED]``: liveness. Status 1 where a seed disagrees."""

from __future__ import annotations

import argparse
import os
import sys
import time
from functools import partial

from tests.simulation.many import run


def main() -> int:
    """Run and print."""
    parser = argparse.ArgumentParser(prog="python -m tests.simulation")
    parser.add_argument("--seeds", type=int, default=10_000)
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--first", type=int, default=0)
    options = parser.parse_args()
    started = time.perf_counter()
    outcome = run(options.first, options.seeds, options.jobs, tell=partial(print, flush=True))
    print(f"liveness: {outcome}, {time.perf_counter() - started:.0f} s")
    return 1 if outcome.disagreeing else 0


if __name__ == "__main__":
    sys.exit(main())
