"""A YAML file as nodes that know their lines, from hands that nobody trusts.

Nodes and not values, since a fault must name its line; the plain subset, since anchors, tags and deep nesting are how small
files become large (https://en.wikipedia.org/wiki/Billion_laughs_attack) and rules need none of them.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import yaml

from processors.alerting.signals import Value
from processors.rules.language import MAX_BYTES, MAX_DEPTH

# The parser of libyaml where the installation has it: a large file costs a tenth.
_LOADER: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_NUMBER = re.compile(r"[-+]?[0-9]{1,15}(\.[0-9]{1,15})?")
_STR, _BOOL, _NULL = "tag:yaml.org,2002:str", "tag:yaml.org,2002:bool", "tag:yaml.org,2002:null"
_TRUTHS = {"true": True, "false": False}
_MAX_FAULTS = 1_000
_QUOTED = ("'", '"', "|", ">")

Node = Any


class Faults:
    """What is wrong with a file, each with its line."""

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


def line_of(node: Node) -> int:
    """The line of a node, counted from 1."""
    return int(node.start_mark.line) + 1


def compose(text: str, faults: Faults) -> Node | None:
    """The root of a document; None where the text is none that rules can be in, and then a fault is noted."""
    if len(text) > MAX_BYTES or len(text.encode(errors="replace")) > MAX_BYTES:
        faults.add(1, f"the file is larger than {MAX_BYTES} bytes")
        return None
    try:
        if not _is_plain(text, faults):
            return None
        return yaml.compose(text, Loader=_LOADER)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        faults.add(mark.line + 1 if mark else 1, f"not YAML: {error.problem or error.context}")
    except (yaml.YAMLError, UnicodeError):
        faults.add(1, "not YAML: it has characters that no text has")
    return None


def _is_plain(text: str, faults: Faults) -> bool:
    """Look at the events before anything is built from them."""
    depth = documents = 0
    before = len(faults)
    for event in yaml.parse(text, Loader=_LOADER):
        line = event.start_mark.line + 1
        depth += isinstance(event, yaml.CollectionStartEvent) - isinstance(event, yaml.CollectionEndEvent)
        documents += isinstance(event, yaml.DocumentStartEvent)
        if depth > MAX_DEPTH or documents > 1:
            faults.add(line, "nested too deeply" if depth > MAX_DEPTH else "a second document; rules stand in one")
            return False
        if getattr(event, "anchor", None) is not None:
            faults.add(line, "anchors and aliases are not allowed")
        if getattr(event, "tag", None) is not None:
            faults.add(line, "tags are not allowed")
    return len(faults) == before


def is_text(node: Node) -> bool:
    """Whether the node is a scalar that YAML takes as text."""
    return isinstance(node, yaml.ScalarNode) and node.tag == _STR


def is_mapping(node: Node) -> bool:
    """Whether the node has members."""
    return isinstance(node, yaml.MappingNode)


def is_sequence(node: Node) -> bool:
    """Whether the node is a list."""
    return isinstance(node, yaml.SequenceNode)


def number(node: Node) -> int | float | None:
    """The number of a scalar; None where it is none. Only plain decimals, never YAML's octal or base 60."""
    if not isinstance(node, yaml.ScalarNode) or node.style in _QUOTED or not _NUMBER.fullmatch(node.value):
        return None
    return float(node.value) if "." in node.value else int(node.value)


def truth(node: Node) -> bool | None:
    """True or false; None where it is neither."""
    if not isinstance(node, yaml.ScalarNode) or node.tag != _BOOL:
        return None
    return _TRUTHS.get(node.value.lower())


def is_null(node: Node) -> bool:
    """Whether the node says that there is nothing."""
    return isinstance(node, yaml.ScalarNode) and node.tag == _NULL


def scalar(node: Node) -> Value:
    """A text, number or truth value; None for anything else."""
    if is_text(node):
        return str(node.value)
    found = truth(node)
    return number(node) if found is None else found


def items(node: Node) -> list[Node]:
    """The elements of a list; a single value is a list of itself."""
    return list(node.value) if is_sequence(node) else [node]


class Members:
    """The members of a mapping: each is taken once, and those that nobody took are faults."""

    def __init__(self, node: Node, faults: Faults, what: str) -> None:
        self.node, self._faults, self._what = node, faults, what
        self._members: dict[str, tuple[Node, Node]] = {}
        if not is_mapping(node):
            faults.add(node, f"{what} must be a mapping")
            return
        for key, value in node.value:
            self._put(key, value)

    def _put(self, key: Node, value: Node) -> None:
        name = key.value if isinstance(key, yaml.ScalarNode) else None
        if name is None:
            self._faults.add(key, f"a key of {self._what} must be text")
        elif name in self._members:
            self._faults.add(key, f"{shown(name)} stands twice in {self._what}")
        else:
            self._members[name] = (key, value)

    def take(self, name: str) -> Node | None:
        """A member's node, None where it is left out."""
        return self._members.pop(name, (None, None))[1]

    def require(self, name: str) -> Node | None:
        """A member that must be there."""
        node = self.take(name)
        if node is None and is_mapping(self.node):
            self._faults.add(self.node, f"{self._what} needs {name}")
        return node

    def rest(self) -> Iterator[tuple[str, Node, Node]]:
        """The members that nobody took, as (name, key node, value node); they count as taken then."""
        members, self._members = self._members, {}
        for name, (key, value) in members.items():
            yield name, key, value

    def finish(self) -> None:
        """What is left is unknown."""
        for name, key, _ in self.rest():
            self._faults.add(key, f"{shown(name)} is unknown in {self._what}")


def shown(text: str) -> str:
    """A piece of the file for a sentence: short, and without what would break the line."""
    clipped = text if len(text) <= 40 else text[:40] + "…"
    return ascii(clipped)
