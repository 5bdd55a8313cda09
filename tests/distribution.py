"""How ``make test`` deals the tests out to its processes."""

from __future__ import annotations

from xdist.scheduler import LoadFileScheduling

TOGETHER = ("tests/end_to_end/", "tests/identity/")
"""Their files share a running system, or a broker with a registry and edges, which each further process would start anew."""


class BySharing(LoadFileScheduling):
    """A file stays with one process, since its tests share a broker; so does a directory whose files share more."""

    def _split_scope(self, nodeid: str) -> str:
        file = super()._split_scope(nodeid)
        return next((directory for directory in TOGETHER if file.startswith(directory)), file)
