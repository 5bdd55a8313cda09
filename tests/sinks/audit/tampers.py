"""What somebody who can write to the tables and to the copies, but has not the key, may do to a log.

Each returns the positions among which the first broken record is to be named: (least, most).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from random import Random

from sinks.audit.chain import Head, chained
from sinks.audit.sealer import Sealed, Sealer
from tests.sinks.audit.made_log import MadeLog, columns, days_of, record, sign_as_stranger
from tests.sinks.samples import Row, audit, row

Span = tuple[int, int]
Tamper = Callable[[MadeLog, Random], Span]

_TEXTS = ("audit_id", "actor", "action", "subject", "outcome", "details")
_NUMBERS = ("_offset", "_position", "_day", "_written_at", "timestamp", "_partition")
_BYTES = ("_value", "_leaf_hash", "_chain_hash")


def edit_a_text(log: MadeLog, random: Random) -> Span:
    at = random.randrange(len(log.rows))
    name = random.choice(_TEXTS)
    log.rows[at][name] = random.choice(("", log.rows[at][name] + "x", "another"))
    return at, at


def edit_a_number(log: MadeLog, random: Random) -> Span:
    at = random.randrange(len(log.rows))
    name = random.choice(_NUMBERS)
    log.rows[at][name] += random.choice((-1, 1, 1000))
    # A changed position is seen as a gap before the record, or as one after it.
    return (at - 1, at + 1) if name == "_position" else (at, at)


def edit_bytes(log: MadeLog, random: Random) -> Span:
    at = random.randrange(len(log.rows))
    name = random.choice(_BYTES)
    old = bytearray(log.rows[at][name])
    old[random.randrange(len(old))] ^= 1 << random.randrange(8)
    log.rows[at][name] = bytes(old)
    return at, at


def edit_a_record_with_its_bytes(log: MadeLog, random: Random) -> Span:
    at = random.randrange(len(log.rows))
    (link,) = chained(_head_before(log, at), [_other(log.records[at])])
    log.rows[at] = columns(link) | {name: log.rows[at][name] for name in ("_leaf_hash", "_chain_hash")}
    return at, at


def edit_and_chain_anew(log: MadeLog, random: Random) -> Span:
    at = random.randrange(log.checkpoints[-1].records)
    _chain_anew(log, at, [_other(log.records[at]), *log.records[at + 1 :]])
    return _signed_span(log, at)


def delete(log: MadeLog, random: Random) -> Span:
    at = random.randrange(log.checkpoints[-1].records)
    del log.rows[at]
    return _first_missing(log, at)


def delete_some(log: MadeLog, random: Random) -> Span:
    at = random.randrange(log.checkpoints[-1].records)
    del log.rows[at : at + random.randint(1, 20)]
    return _first_missing(log, at)


def delete_and_chain_anew(log: MadeLog, random: Random) -> Span:
    at = random.randrange(log.checkpoints[-1].records)
    _chain_anew(log, at, log.records[at + 1 :])
    # In the last checkpoint's part nothing tells but that the log is too short.
    return _signed_span(log, at)[0], max(at, len(log.rows))


def insert(log: MadeLog, random: Random) -> Span:
    at = random.randrange(len(log.rows))
    (link,) = chained(_head_before(log, at), [_other(log.records[at])])
    log.rows.insert(at + random.randint(0, 1), columns(link))
    return _signed_span(log, at)


def insert_and_chain_anew(log: MadeLog, random: Random) -> Span:
    at = random.randrange(log.checkpoints[-1].records)
    _chain_anew(log, at, [_other(log.records[at]), *log.records[at:]])
    return _signed_span(log, at)


def append(log: MadeLog, random: Random) -> Span:
    """After the last one; nobody has signed it by the time that it should have been."""
    at = len(log.rows)
    last = log.records[-1]
    (link,) = chained(_head_before(log, at), [record(last.offset + 1, last.timestamp, random)])
    log.rows.append(columns(link))
    return log.checkpoints[-1].records, at


def reorder_rows(log: MadeLog, random: Random) -> Span:
    first, second = sorted(random.sample(range(len(log.rows)), 2))
    log.rows[first], log.rows[second] = log.rows[second], log.rows[first]
    return first, first


def reorder_contents(log: MadeLog, random: Random) -> Span:
    """As if two records had come in the other order, with the hashes of each kept."""
    first, second = sorted(random.sample(range(len(log.rows)), 2))
    for name in ("_position", "_offset", "_written_at", "_day"):
        log.rows[first][name], log.rows[second][name] = log.rows[second][name], log.rows[first][name]
    log.rows[first], log.rows[second] = log.rows[second], log.rows[first]
    return first, first


def truncate_head(log: MadeLog, random: Random) -> Span:
    del log.rows[: random.randint(1, log.checkpoints[-1].records)]
    return 0, 0


def truncate_tail(log: MadeLog, random: Random) -> Span:
    at = random.randrange(log.checkpoints[-1].records)
    del log.rows[at:]
    return _first_missing(log, at)


def remove_a_day(log: MadeLog, random: Random) -> Span:
    day, rows = random.choice(list(days_of(log.rows)))
    log.rows = [each for each in log.rows if each["_day"] != day]
    return _first_missing(log, rows[0]["_position"])


def swap_days(log: MadeLog, random: Random) -> Span:
    """Each of two days is said to be the other one."""
    (first, rows), (second, _) = sorted(random.sample(list(days_of(log.rows)), 2), key=lambda each: each[0])
    for each in log.rows:
        each["_day"] = {first: second, second: first}.get(each["_day"], each["_day"])
    return rows[0]["_position"], rows[0]["_position"]


def swap_the_records_of_days(log: MadeLog, random: Random) -> Span:
    first, second = sorted(random.sample(list(days_of(log.rows)), 2), key=lambda each: each[0])
    at = first[1][0]["_position"]
    before = [each for each in log.rows if each["_day"] not in (first[0], second[0])]
    moved = [each | {"_day": first[0]} for each in second[1]] + [each | {"_day": second[0]} for each in first[1]]
    log.rows = sorted([*before, *moved], key=lambda each: (each["_day"], each["_position"]))
    return 0, at


def present_an_old_checkpoint_as_the_newest(log: MadeLog, random: Random) -> Span:
    """The whole database as it was some time ago; the file, or the topic, knows better."""
    old = random.randrange(len(log.checkpoints) - 1)
    log.notes["table"] = log.notes["table"][: old + 1]
    log.notes[random.choice(("file", "topic"))] = log.notes["table"][: old + 1]
    del log.rows[log.checkpoints[old].records :]
    return _first_missing(log, log.checkpoints[old].records)


def remove_a_checkpoint(log: MadeLog, random: Random) -> Span:
    """From the table or the file anywhere, from the topic anywhere but at its beginning, which retention takes."""
    name = random.choice(("table", "file", "topic"))
    del log.notes[name][random.randrange(1 if name == "topic" else 0, len(log.checkpoints))]
    return 0, len(log.rows)


def remove_a_checkpoint_everywhere(log: MadeLog, random: Random) -> Span:
    at = random.randrange(len(log.checkpoints) - 1)
    for notes in log.notes.values():
        del notes[at]
    return 0, len(log.rows)


def forge_a_checkpoint(log: MadeLog, random: Random) -> Span:
    at = random.randrange(len(log.checkpoints))
    forged = replace(log.checkpoints[at], root=bytes(32))
    log.notes[random.choice(("table", "file", "topic"))][at] = sign_as_stranger(forged)
    return 0, len(log.rows)


def alter_a_checkpoint(log: MadeLog, random: Random) -> Span:
    """A text of the attacker's over the signature of the sink."""
    at = random.randrange(len(log.checkpoints))
    notes = log.notes[random.choice(("table", "file", "topic"))]
    altered = replace(log.checkpoints[at], time_ms=log.checkpoints[at].time_ms + 1)
    notes[at] = altered.text + notes[at][len(log.checkpoints[at].text) :]
    return 0, len(log.rows)


def forge_the_log_and_all_checkpoints(log: MadeLog, random: Random) -> Span:
    """Records and checkpoints agree with each other in every copy; only the key is another one."""
    at = random.randrange(len(log.rows))
    _chain_anew(log, at, [_other(log.records[at]), *log.records[at + 1 :]])
    forged = Sealer(None).seal(chained(Head(), [*log.records[:at], _other(log.records[at])]), sign_as_stranger, 0)
    for name in log.notes:
        log.notes[name] = [each.note for each in forged]
    return 0, len(log.rows)


def replace_the_file(log: MadeLog, random: Random) -> Span:
    stranger = [sign_as_stranger(Sealed.of(note).checkpoint) for note in log.notes["file"]]
    log.notes["file"] = random.choice(([], stranger, ["anything"], list(reversed(log.notes["file"]))))
    return 0, len(log.rows)


def empty_the_table_of_checkpoints(log: MadeLog, random: Random) -> Span:
    log.notes["table"] = []
    return 0, len(log.rows)


TAMPERS: tuple[Tamper, ...] = (
    edit_a_text,
    edit_a_number,
    edit_bytes,
    edit_a_record_with_its_bytes,
    edit_and_chain_anew,
    delete,
    delete_some,
    delete_and_chain_anew,
    insert,
    insert_and_chain_anew,
    append,
    reorder_rows,
    reorder_contents,
    truncate_head,
    truncate_tail,
    remove_a_day,
    swap_days,
    swap_the_records_of_days,
    present_an_old_checkpoint_as_the_newest,
    remove_a_checkpoint,
    remove_a_checkpoint_everywhere,
    forge_a_checkpoint,
    alter_a_checkpoint,
    forge_the_log_and_all_checkpoints,
    replace_the_file,
    empty_the_table_of_checkpoints,
)


def _other(original: Row) -> Row:
    """A record in the place of another one."""
    content = audit(f"other-{original.offset}", timestamp=original.timestamp, actor="attacker")
    return row("audit", content, original.offset)._replace(timestamp=original.timestamp)


def _head_before(log: MadeLog, at: int) -> Head:
    head = Head()
    for link in chained(Head(), log.records[:at]):
        head = link.head
    return head


def _chain_anew(log: MadeLog, at: int, rows: list[Row]) -> None:
    log.rows[at:] = [columns(link) for link in chained(_head_before(log, at), rows)]


def _signed_span(log: MadeLog, at: int) -> Span:
    """Where every hash was made anew, only what was signed tells: the records between two checkpoints."""
    return max((each.records for each in log.checkpoints if each.records <= at), default=0), at


def _first_missing(log: MadeLog, at: int) -> Span:
    """The first that is missing; where the first day is gone, all before the next one."""
    return (at, at) if log.rows and log.rows[0]["_position"] == 0 else (0, 0)
