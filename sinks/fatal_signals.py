"""A fault in one of the embedded engine's threads ends the process, so that another is started.

chDB takes the fatal signals when it opens. Its handler holds the thread that failed for ever and lets the process live: from
then on every statement gets code 236 (ABORTED), and no engine can be opened in the process again. A process that ends is
started anew, and the sink goes on from what its tables hold.
"""

from __future__ import annotations

import faulthandler
import resource
import signal

_TAKEN = (
    signal.SIGABRT,
    signal.SIGBUS,
    signal.SIGFPE,
    signal.SIGILL,
    signal.SIGSEGV,
    signal.SIGSYS,
    signal.SIGTRAP,
    signal.SIGTSTP,
)


def end_the_process() -> None:
    """Give the signals their usual meaning again, and say on stderr what ran. On the main thread, after each opening."""
    faulthandler.disable()  # it would go back to the handlers that it found, which are chDB's
    for number in _TAKEN:
        signal.signal(number, signal.SIG_DFL)
    # A dump of the memory would hold the storage keys.
    _, most = resource.getrlimit(resource.RLIMIT_CORE)
    resource.setrlimit(resource.RLIMIT_CORE, (0, most))
    faulthandler.enable()
