"""Faust's flow control with one change: resuming what already flows is nothing.

Faust 0.15.3 empties the streams' queues at every ``resume``. At the end of a recovery it seeks the streams to their
committed offsets and resumes after that, while the fetcher already runs: what came in between is thrown away and not read
again. The same happens to all streams when an agent is restarted.
"""

from __future__ import annotations

from mode.utils.queues import FlowControlEvent


class SteadyFlowControl(FlowControlEvent):
    """To be set as an app's ``flow_control`` before anything uses it."""

    def resume(self) -> None:
        """Let the queues flow; those that did not are emptied, since what they held is read again."""
        if not self.is_active():
            super().resume()
