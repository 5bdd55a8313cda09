"""A part for the supervisor's tests: says ready, then lives, dies or is stubborn as its arguments say.

stub_part.py live | die-before-ready | silent | stubborn | die-once MARKER
"""

from __future__ import annotations

import os
import signal
import sys

from infra.notify import READY, notify


def main(kind: str) -> None:
    """Behave as ``kind``."""
    print(f"stub {kind} with kafka {os.environ.get('VIWORKS_KAFKA')}", flush=True)  # noqa: T201 - its log
    if kind == "die-before-ready":
        sys.exit("the stub cannot start")
    if kind == "stubborn":
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
    if kind != "silent":
        notify(READY)
    while True:
        signal.pause()


if __name__ == "__main__":
    main(sys.argv[1])
