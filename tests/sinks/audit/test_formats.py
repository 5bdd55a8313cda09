"""The published forms: Merkle roots as RFC 6962 has them, notes as c2sp.org/signed-note, checkpoints as tlog-checkpoint."""

from __future__ import annotations

import base64
from dataclasses import replace
from pathlib import Path

import pytest
from nacl.signing import SigningKey

from sinks.audit.checkpoints import Checkpoint, read_checkpoint
from sinks.audit.files import CheckpointFile, read_notes
from sinks.audit.merkle import Tree, leaf_hash
from sinks.audit.notes import open_note, sign_note
from sinks.audit.sealer import Sealed
from sinks.audit.signing_key import AuditKey, read_public_keys
from sinks.errors import CheckpointInvalid, KeyFileUnusable
from tests.sinks.audit.log import KEY, sign

# The eight leaves and roots that implementations of certificate transparency test themselves with.
LEAVES = ("", "00", "10", "2021", "3031", "40414243", "5051525354555657", "606162636465666768696a6b6c6d6e6f")
ROOTS = (
    "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
    "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
    "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
    "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
    "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
    "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
    "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
    "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
)
# The example of golang.org/x/mod/sumdb/note.
PETER = base64.b64decode("ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW")[1:]
NOTE = (
    "If you think cryptography is the answer to your problem,\nthen you don't know what your problem is.\n\n"
    "\u2014 PeterNeumann x08go/ZJkuBS9UG/SffcvIAQxVBtiFupLLr8pAcElZInNIuGUgYN1FFYC2pZSNXgKvqfqdngotpRZb6KE6RyyBwJnAM=\n"
)
CHECKPOINT = Checkpoint(
    sequence=7,
    time_ms=1_764_000_000_000,
    day=20_416,
    first_record=100,
    records=134,
    first_offset=105,
    last_offset=140,
    root=b"r" * 32,
    chain_hash=b"c" * 32,
    previous=b"p" * 32,
)


def test_roots_are_those_of_rfc_6962() -> None:
    tree = Tree()
    roots = [tree.root.hex()]
    for leaf in LEAVES:
        tree.append(leaf_hash(bytes.fromhex(leaf)))
        roots.append(tree.root.hex())
    assert tuple(roots) == ROOTS


def test_a_note_of_another_implementation_is_read() -> None:
    assert open_note(NOTE, "PeterNeumann", [bytes(KEY.verify_key), PETER]).startswith("If you think")
    with pytest.raises(CheckpointInvalid, match="none of the known keys"):
        open_note(NOTE, "PeterNeumann", [bytes(KEY.verify_key)])
    with pytest.raises(CheckpointInvalid, match="signature is wrong"):
        open_note(NOTE.replace("answer", "question"), "PeterNeumann", [PETER])


def test_a_checkpoint_is_a_checkpoint_in_the_sense_of_c2sp() -> None:
    origin, size, root, *extensions = CHECKPOINT.text.splitlines()
    assert (origin, size, base64.b64decode(root)) == ("viworks/audit/2025-11-24", "34", b"r" * 32)
    assert all(extensions)
    assert read_checkpoint(CHECKPOINT.text) == CHECKPOINT
    assert open_note(sign(CHECKPOINT), origin, [bytes(KEY.verify_key)]) == CHECKPOINT.text


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("\n34\n", "\n35\n"),
        ("\n34\n", "\n034\n"),
        ("sequence 7", "sequence -7"),
        ("sequence 7", "sequence 7\nsequence 7"),
        ("2025-11-24", "2025-13-24"),
        ("records 100 134", "records 134 100"),
        ("viworks/", "others/"),
    ],
)
def test_any_other_text_is_no_checkpoint(old: str, new: str) -> None:
    with pytest.raises(CheckpointInvalid):
        read_checkpoint(CHECKPOINT.text.replace(old, new))


@pytest.mark.parametrize(
    "note", ["", "\n\n", "text\n\n\n", "text\n\n\u2014 x\n", "text\n\n\u2014 x y\n", "text\n\n- x AAAA\n"]
)
def test_what_is_no_note_is_refused(note: str) -> None:
    with pytest.raises(CheckpointInvalid):
        open_note(note, "x", [PETER])


def test_a_further_signature_changes_nothing() -> None:
    witness = sign_note(CHECKPOINT.text, "witness.example", SigningKey(b"w" * 32)).rpartition("\n\n")[2]
    note = sign(CHECKPOINT) + witness
    assert open_note(note, CHECKPOINT.origin, [bytes(KEY.verify_key)]) == CHECKPOINT.text
    assert Sealed.of(note).checkpoint == CHECKPOINT


def test_the_file_only_grows_and_mends_a_line_that_was_cut_short(tmp_path: Path) -> None:
    path = tmp_path / "audit" / "checkpoints.jsonl"
    file, notes = CheckpointFile(path), [sign(replace(CHECKPOINT, sequence=number)) for number in range(200)]
    assert file.newest() is None
    file.append(notes[:150])
    assert file.newest() == notes[149]
    whole = path.read_bytes()
    path.write_bytes(whole + b'"viworks/audit/2025')
    assert (file.newest(), read_notes(path)) == (notes[149], notes[:150])
    file.append(notes[150:])
    assert read_notes(path) == notes
    assert path.read_bytes().startswith(whole)


def test_a_key_that_is_replaced_leaves_its_public_half(tmp_path: Path) -> None:
    private, public = tmp_path / "audit.key", tmp_path / "audit" / "public-keys"
    key, notes = AuditKey(private, public), []
    for seed in (b"1" * 32, b"2" * 32):
        private.write_bytes(base64.b64encode(seed))
        notes += [key.sign(CHECKPOINT), key.sign(CHECKPOINT)]
    keys = read_public_keys(public)
    assert keys == [bytes(SigningKey(seed).verify_key) for seed in (b"1" * 32, b"2" * 32)]
    for note in notes:
        assert open_note(note, CHECKPOINT.origin, keys) == CHECKPOINT.text
    private.write_text("too short")
    with pytest.raises(KeyFileUnusable):
        key.sign(CHECKPOINT)
