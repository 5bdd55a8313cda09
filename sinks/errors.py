"""The error tree of the sinks.

SinkError
├── KeyFileUnusable             the storage key or the SQL token cannot be read, or has the wrong form
├── EngineNotOpened             ClickHouse cannot be opened; names the reason
│   └── EngineInUse             another process has the embedded engine's directory open
├── EngineUnavailable           ClickHouse cannot answer now: retry the same batch
│   └── Fenced                  another sink has claimed a partition of the batch since: claim it anew, then retry
├── KafkaUnavailable            Kafka cannot say where a log ends: retry the same batch
├── RowsRefused                 ClickHouse cannot read or will not hold at least one row of a batch: split it
├── MigrationFailed             a migration cannot be applied
│   └── MigrationChanged        a migration that was applied has other content now
├── NotADatum                   a Kafka value that is no Avro datum of its topic's schema
├── DeadLetterUndelivered       a refused row could not be put on the dead letter topic: retry
├── CheckpointUndelivered       a checkpoint could not be put on its topic: retry
├── AuditUnavailable            an audit record of a query could not be kept in time: the query is not answered
├── RotationFailed              a former storage key cannot be removed: it stays, and nothing is lost
├── ErasureFailed               a client is not erased whole: it may be tried again
├── RecordUndelivered           an audit record or a verdict could not be put on its topic: retry
├── OrderRefused                an administrator's order is not carried out; says why
├── ReplayFailed                a table cannot be rebuilt from Kafka: it stays as it is
├── ConsumerStalled             Kafka has records that the consumer does not bring: start anew
├── ManifestInvalid             the manifest of what was dropped is not as it was written: nothing is dropped
├── HoldIncomplete              rows under a legal hold are not copied: their part is not dropped
├── AuditError                  the audit log is not as it was written
│   ├── CheckpointInvalid       no checkpoint, or one that nobody of us has signed
│   ├── LogAltered              what is in the tables contradicts what was signed or written: nothing more is signed
│   └── ExportUnreadable        an exported file of the log is not one, or is damaged
└── QueryRefused                the SQL port does not run a request; carries ClickHouse's code for it

Retryable are EngineUnavailable, KafkaUnavailable, DeadLetterUndelivered, CheckpointUndelivered and RecordUndelivered. No
message repeats a value from a row.
"""

from __future__ import annotations


class SinkError(Exception):
    """Base of every error that this package raises."""


class KeyFileUnusable(SinkError):
    """The storage key or the SQL token cannot be read, or has the wrong form."""


class EngineNotOpened(SinkError):
    """ClickHouse cannot be opened."""


class EngineInUse(EngineNotOpened):
    """Another process has the embedded engine's directory open."""


class EngineUnavailable(SinkError):
    """ClickHouse cannot answer now. Nothing is known of the batch: it has to be sent again as it was."""


class Fenced(EngineUnavailable):
    """Another sink has claimed a partition of the batch since. Nothing of the batch was inserted."""


class KafkaUnavailable(SinkError):
    """Kafka cannot say where a log ends. Nothing of the batch was inserted."""


class RowsRefused(SinkError):
    """ClickHouse refuses a batch because of its rows; none of them is in the table.

    Args:
        code: ClickHouse's error code.
    """

    def __init__(self, code: int) -> None:
        super().__init__(f"ClickHouse refuses the rows (code {code})")
        self.code = code


class MigrationFailed(SinkError):
    """A migration cannot be applied."""


class MigrationChanged(MigrationFailed):
    """A migration that was applied has other content now. Migrations are never edited: add a new one."""


class NotADatum(SinkError):
    """A Kafka value that is no Avro datum of its topic's schema."""


class DeadLetterUndelivered(SinkError):
    """A refused row could not be put on the dead letter topic."""


class CheckpointUndelivered(SinkError):
    """A checkpoint could not be put on its topic, or the topic cannot be read."""


class AuditUnavailable(SinkError):
    """An audit record could not be kept in time."""


class RotationFailed(SinkError):
    """A former storage key cannot be removed, so it stays."""


class ErasureFailed(SinkError):
    """A client is not erased whole. It may be tried again."""


class RecordUndelivered(SinkError):
    """An audit record or a verdict could not be put on its topic."""


class OrderRefused(SinkError):
    """An administrator's order is not carried out. The message is the reason, for whoever gave it."""


class ReplayFailed(SinkError):
    """A table cannot be rebuilt from Kafka. It stays as it is."""


class ConsumerStalled(SinkError):
    """Kafka has records that the consumer does not bring."""


class ManifestInvalid(SinkError):
    """The manifest of what was dropped is not as it was written. The message goes on from "Entry N: "."""


class HoldIncomplete(SinkError):
    """Rows under a legal hold are not copied yet, so their part is not dropped."""


class AuditError(SinkError):
    """The audit log is not as it was written."""


class CheckpointInvalid(AuditError):
    """No checkpoint, or one that nobody of us has signed. The message goes on from "checkpoint N: "."""


class LogAltered(AuditError):
    """What is in the tables contradicts what was signed or written, so nothing more is signed."""


class ExportUnreadable(AuditError):
    """An exported file of the audit log is not one, or is damaged."""


class QueryRefused(SinkError):
    """The SQL port does not run a request.

    Args:
        code: ClickHouse's error code for it.
        text: the message in ClickHouse's own form, ``Code: N. DB::Exception: ...``, without a line end.
    """

    def __init__(self, code: int, text: str) -> None:
        super().__init__(text)
        self.code = code
        self.text = text
