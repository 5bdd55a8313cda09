"""Start a program that ends with its parent: ``python tether.py PARENT_PID SIGNAL PROGRAM ARGUMENT...``.

The kernel sends SIGNAL when the parent ends, however it ends; the request outlives the exec. Linux only: elsewhere the
program starts without it. Runs in the child, before the exec, because nothing but that is safe between fork and exec of a
process with threads. Imports nothing of ours, since it stands in the way of every start.
"""

from __future__ import annotations

import ctypes
import os
import sys

_PR_SET_PDEATHSIG = 1


def main(arguments: list[str]) -> None:
    """Ask for the signal, make sure that the parent is still there, and become the program."""
    parent, death_signal, program = int(arguments[0]), int(arguments[1]), arguments[2]
    if sys.platform == "linux":
        ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, death_signal)
    # The parent may have ended before the request was made.
    if os.getppid() != parent:
        sys.exit("the process that started this one has ended")
    os.execv(program, arguments[2:])  # noqa: S606 - the arguments are those that the starting process made


if __name__ == "__main__":
    main(sys.argv[1:])
