"""YAML whose faults carry line numbers: a document becomes values that know their lines; all faults are told at once.

Only plain data are taken, see ``processors.yaml_nodes``, and no key twice.
"""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path
from typing import NamedTuple

import yaml

from processors.durations import duration_ms
from processors.yaml_nodes import Faults, Limits, Node, YamlInvalid, compose, line_of, read_bounded

_LIMITS = Limits(bytes=256 * 1024, depth=20)

Scalar = str | int | float | bool | None


class Value(NamedTuple):
    """A value and the line (from 1) on which it begins. ``data`` is a scalar, a list of values, or values by key."""

    line: int
    data: Scalar | list[Value] | dict[str, Value]


def load(path: Path, faults: Faults) -> Value:
    """The document in a file.

    Raises:
        YamlInvalid: the file cannot be read, or is not one document of plain YAML; then nothing else can be told of it.
    """
    try:
        content = read_bounded(path, _LIMITS)
    except OSError as error:
        raise YamlInvalid([f"{path}: cannot be read: {error.strerror or type(error).__name__}"]) from None
    return parse(content, faults)


def parse(content: bytes, faults: Faults) -> Value:
    """The document of these bytes. Raises YamlInvalid."""
    node = compose(content, faults, _LIMITS)
    faults.raise_any()
    return _value(node, faults) if node is not None else Value(1, None)


def _value(node: Node, faults: Faults) -> Value:
    line = line_of(node)
    if isinstance(node, yaml.MappingNode):
        return Value(line, _mapping(node, faults))
    if isinstance(node, yaml.SequenceNode):
        return Value(line, [_value(item, faults) for item in node.value])
    return Value(line, _scalar(node, faults))


def _mapping(node: yaml.MappingNode, faults: Faults) -> dict[str, Value]:
    found: dict[str, Value] = {}
    for key, item in node.value:
        line = line_of(key)
        if not isinstance(key, yaml.ScalarNode):
            faults.add(line, "a key is not a word")
        elif key.value in found:
            faults.add(line, f"{key.value!r} stands here for the second time")
        else:
            found[key.value] = _value(item, faults)
    return found


def _scalar(node: Node, faults: Faults) -> Scalar:
    """YAML's own reading of it; a date is taken as the text that stands there."""
    line = line_of(node)
    try:
        found = yaml.SafeLoader("").construct_object(node)
    except (yaml.YAMLError, ValueError, OverflowError):
        faults.add(line, "not a plain value")
        return None
    return found if isinstance(found, str | int | float | bool | None) else str(node.value)


class Members:
    """The members of one mapping, each asked for once; ``finish`` tells those that nobody asked for."""

    def __init__(self, value: Value, what: str, faults: Faults) -> None:
        self.line = value.line
        self._faults = faults
        self._what = what
        self._rest: dict[str, Value] = dict(value.data) if isinstance(value.data, dict) else {}
        if not isinstance(value.data, dict):
            faults.add(value.line, f"{what} is not a mapping")
        self._known: list[str] = []

    def take(self, name: str, *, required: bool = False) -> Value | None:
        """The member as it stands; None where it is absent or empty."""
        self._known.append(name)
        value = self._rest.pop(name, None)
        if value is None or value.data is None:
            if required:
                self._faults.add(self.line, f"{self._what} has no {name}")
            return None
        return value

    def text(self, name: str, *, required: bool = False, among: Collection[str] = ()) -> str | None:
        """A text, one of ``among`` where that is given."""
        value = self.take(name, required=required)
        if value is None:
            return None
        if not isinstance(value.data, str) or not value.data:
            self._wrong(value, f"{name} is not a text")
            return None
        if among and value.data not in among:
            self._wrong(value, f"{name} is none of {', '.join(among)}")
            return None
        return value.data

    def texts(self, name: str, among: Collection[str] = ()) -> tuple[str, ...]:
        """A list of texts, or a single one."""
        value = self.take(name)
        if value is None:
            return ()
        items = value.data if isinstance(value.data, list) else [value]
        return tuple(text for item in items if (text := self._item(name, item, among)) is not None)

    def duration_ms(self, name: str, least_ms: int, most_ms: int) -> int | None:
        """A duration such as ``500ms``, ``30s``, ``5m``, ``2h``, ``1d``."""
        value = self.take(name)
        if value is None:
            return None
        found = duration_ms(value.data) if isinstance(value.data, str) else None
        if found is None:
            self._wrong(value, f"{name} is not a duration such as 500ms, 30s, 5m, 2h or 1d")
            return None
        if not least_ms <= found <= most_ms:
            self._wrong(value, f"{name} is not between {least_ms} and {most_ms} ms")
        return found

    def number(self, name: str, least: float, most: float) -> float | None:
        """A number within bounds."""
        value = self.take(name)
        if value is None:
            return None
        if isinstance(value.data, bool) or not isinstance(value.data, int | float) or not least <= value.data <= most:
            self._wrong(value, f"{name} is not a number between {least:g} and {most:g}")
            return None
        return value.data

    def inner(self, value: Value, what: str) -> Members:
        """The members of a mapping inside."""
        return Members(value, what, self._faults)

    def wrong(self, what: str, line: int | None = None) -> None:
        """Note a fault of this mapping."""
        self._faults.add(line or self.line, what)

    def finish(self) -> None:
        """Refuse the members that were not asked for."""
        for name, value in self._rest.items():
            self._faults.add(value.line, f"{self._what} has no member {name!r}: there are {', '.join(self._known)}")

    def _item(self, name: str, item: Value, among: Collection[str]) -> str | None:
        if not isinstance(item.data, str) or not item.data:
            self._wrong(item, f"{name} has something that is not a text")
            return None
        if among and item.data not in among:
            self._wrong(item, f"{name} has something that is none of {', '.join(among)}")
            return None
        return item.data

    def _wrong(self, value: Value, what: str) -> None:
        self._faults.add(value.line, what)
