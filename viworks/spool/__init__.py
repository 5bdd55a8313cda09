"""What a client has to say, on its disk until the server has it: encrypted, bounded, in order, whole after a crash."""

from viworks.spool.bounds import Bounds
from viworks.spool.desk import SpoolDesk
from viworks.spool.record import Kind, Rank, Record
from viworks.spool.store import Spool, Spooled

__all__ = ["Bounds", "Kind", "Rank", "Record", "Spool", "SpoolDesk", "Spooled"]
