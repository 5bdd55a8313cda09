"""The error tree of infra. Every message is one sentence that says what is wrong, and one that says how to mend it.

InfraError
├── SettingsInvalid
├── DataDirectoryInUse
├── PortTaken
├── JavaMissing
├── DownloadFailed
├── BrokerNotStarted
├── BrokerUnreachable
├── TopicsNotCreated
├── KeyFileInvalid
├── NotRunning
├── PartUnknown
├── ClientUnknown
├── PolicyUnknown
├── RulesFaulty
├── ScenarioInvalid
├── FleetNotRun
├── ReceiversUnusable
├── ReceiverUnknown
├── TestNotDelivered
├── DeadLetterUnknown
├── OrderRefused
├── NotDecided
├── AuditUnreadable
├── ManifestUnreadable
├── TokenRefused
├── SqlRefused
├── SqlPortAway
├── RowsFaulty
├── WarehouseUnusable
└── PartNotStarted
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path


class InfraError(Exception):
    """Anything that stops ``viworks`` and that its user can mend. ``detail`` is shown below the message as it is."""

    def __init__(self, message: str, detail: Sequence[str] = ()) -> None:
        super().__init__(message)
        self.detail = tuple(detail)


class SettingsInvalid(InfraError):
    """A ``VIWORKS_*`` variable or an option holds a value of the wrong kind."""


class DataDirectoryInUse(InfraError):
    """Another supervisor holds the data directory."""

    def __init__(self, data_dir: Path, pid: int | None) -> None:
        holder = f"the viworks process {pid}" if pid else "another viworks process"
        super().__init__(f"{data_dir} is in use by {holder}: stop that one, or name another directory with --data.")
        self.pid = pid


class PortTaken(InfraError):
    """A port that a part is to listen on has a listener already."""

    def __init__(self, port: int, setting: str, part: str) -> None:
        super().__init__(
            f"Port {port} ({part}) is taken by another program: stop that program, or set {setting} to a free port."
        )
        self.port = port


class JavaMissing(InfraError):
    """Neither a Java of version 17 or newer nor the wheel that brings one is there."""


class DownloadFailed(InfraError):
    """A jar of the embedded broker could not be fetched, or is not the one that was pinned."""


class BrokerNotStarted(InfraError):
    """The embedded broker ended or stayed silent while it started."""


class BrokerUnreachable(InfraError):
    """The external broker that was named does not answer."""


class TopicsNotCreated(InfraError):
    """The broker refused to create a topic."""


class KeyFileInvalid(InfraError):
    """A key file that was made earlier cannot be read back."""


class NotRunning(InfraError):
    """A command that needs a running supervisor found none."""


class PartUnknown(InfraError):
    """``viworks run`` was asked for a part that does not exist."""


class ClientUnknown(InfraError):
    """``viworks demo`` was asked for a client that is not one of the simulated ones."""


class PolicyUnknown(InfraError):
    """``viworks policy show`` was asked for a policy that does not exist."""


class RulesFaulty(InfraError):
    """A file of rules has faults; they are shown below, each with its line."""


class ScenarioInvalid(InfraError):
    """A scenario of ``viworks fleet`` has faults; they are shown below, each with its line."""


class FleetNotRun(InfraError):
    """``viworks fleet`` cannot run its clients against this server."""


class ReceiversUnusable(InfraError):
    """The receivers file does not fit; ``detail`` has each fault."""


class ReceiverUnknown(InfraError):
    """``viworks receivers test`` was asked for a receiver that the file does not have."""


class TestNotDelivered(InfraError):
    """The receiver did not take the test alert."""


class DeadLetterUnknown(InfraError):
    """``viworks dlq`` was asked for a letter that is not there."""


class OrderRefused(InfraError):
    """The registry, or the alert desk, refused an administrator's order; says why."""


class NotDecided(InfraError):
    """No verdict on an administrator's order came in time."""


class AuditUnreadable(InfraError):
    """The audit log, or a copy of its checkpoints, cannot be read, so nothing can be said of it."""


class ManifestUnreadable(InfraError):
    """The manifest of what was dropped, or the keys that signed it, cannot be read."""


class TokenRefused(InfraError):
    """A token of the SQL port cannot be made or revoked as asked."""


class SqlRefused(InfraError):
    """The SQL port refused a statement; in ClickHouse's own words."""


class SqlPortAway(InfraError):
    """The SQL port does not answer, or its answer broke off."""


class RowsFaulty(InfraError):
    """``viworks verify`` found rows that are not what was signed."""


class WarehouseUnusable(InfraError):
    """The embedded engine or the server cannot be used, or refuses what a command asks of it."""


class PartNotStarted(InfraError):
    """A part ended, or did not report ready in time, while it started."""
