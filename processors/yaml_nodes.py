"""YAML from hands that nobody trusts, as nodes that know their lines.

Nodes and not values, since a fault must name its line; the plain subset, since anchors, tags and deep nesting are how small
files become large (https://en.wikipedia.org/wiki/Billion_laughs_attack) and no file of ours needs them.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import yaml

# The parser of libyaml where the installation has it: a large file costs a tenth.
_LOADER: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_MAX_FAULTS = 1_000

Node = Any


class Limits(NamedTuple):
    """How large a file and how deeply nested a document may be."""

    bytes: int
    depth: int


class YamlInvalid(Exception):
    """A document does not fit. ``faults`` has one sentence each, ``FILE:LINE: what is wrong``; values are not quoted."""

    def __init__(self, faults: Sequence[str]) -> None:
        super().__init__("; ".join(faults))
        self.faults = tuple(faults)


class Faults:
    """What is wrong with a file, each with its line; the first thousand."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._found: list[tuple[int, str]] = []

    def __len__(self) -> int:
        return len(self._found)

    def add(self, at: Node | int, sentence: str) -> None:
        """Note a fault at a node or in a line, counted from 1."""
        if len(self._found) < _MAX_FAULTS:
            self._found.append((at if isinstance(at, int) else line_of(at), sentence))

    def lines(self) -> list[str]:
        """``name:line: sentence``, in the order of the lines."""
        return [f"{self._name}:{line}: {sentence}" for line, sentence in sorted(self._found)]

    def raise_any(self) -> None:
        """Raises YamlInvalid where anything was noted."""
        if self._found:
            raise YamlInvalid(self.lines())


def read_bounded(path: Path, limits: Limits) -> bytes:
    """A file, or one byte more of it than allowed, so that a device or a huge file costs no more. Raises OSError."""
    with path.open("rb") as file:
        return file.read(limits.bytes + 1)


def line_of(node: Node) -> int:
    """The line of a node, counted from 1."""
    return int(node.start_mark.line) + 1


def compose(content: bytes, faults: Faults, limits: Limits) -> Node | None:
    """The root of a document; None where it is empty, or where it is none of the plain subset: then a fault is noted."""
    if len(content) > limits.bytes:
        faults.add(1, f"the file is larger than {limits.bytes} bytes")
        return None
    try:
        return yaml.compose(content, Loader=_LOADER) if _is_plain(content, faults, limits) else None
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        faults.add(mark.line + 1 if mark else 1, f"not YAML: {error.problem or error.context}")
    except (yaml.YAMLError, UnicodeError):
        faults.add(1, "not YAML: it has characters that no text has")
    return None


def _is_plain(content: bytes, faults: Faults, limits: Limits) -> bool:
    """Look at the events before anything is built from them."""
    depth = documents = 0
    before = len(faults)
    for event in yaml.parse(content, Loader=_LOADER):
        line = event.start_mark.line + 1
        depth += isinstance(event, yaml.CollectionStartEvent) - isinstance(event, yaml.CollectionEndEvent)
        documents += isinstance(event, yaml.DocumentStartEvent)
        if depth > limits.depth or documents > 1:
            faults.add(line, "nested too deeply" if depth > limits.depth else "a second document; a file has one")
            return False
        if getattr(event, "anchor", None) is not None:
            faults.add(line, "anchors and aliases are not allowed")
        if getattr(event, "tag", None) is not None:
            faults.add(line, "tags are not allowed")
    return len(faults) == before
