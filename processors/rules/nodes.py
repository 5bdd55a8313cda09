"""What the rules ask of the nodes of a YAML document."""

from __future__ import annotations

import re
from collections.abc import Iterator

import yaml

from processors.alerting.signals import Value
from processors.yaml_nodes import Faults, Node

_NUMBER = re.compile(r"[-+]?[0-9]{1,15}(\.[0-9]{1,15})?")
_STR, _BOOL, _NULL = "tag:yaml.org,2002:str", "tag:yaml.org,2002:bool", "tag:yaml.org,2002:null"
_TRUTHS = {"true": True, "false": False}
_QUOTED = ("'", '"', "|", ">")


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
