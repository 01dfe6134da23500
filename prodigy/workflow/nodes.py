"""The marked tree of a workflow file, before it means anything.

Pure. Lines and columns count from 1, ends are exclusive. A scalar keeps its source text; what it *is* under the
YAML 1.2 core rules is decided by whoever reads it, so ``0644`` or ``1.10`` is never lost as a number.
"""

import math
import re
from typing import Any, Protocol

from msgspec import Struct


class Placed(Protocol):
    """Whatever stands somewhere in the file."""

    @property
    def line(self) -> int:
        """Its first line."""

    @property
    def column(self) -> int:
        """Its first column."""

    @property
    def end_line(self) -> int:
        """The line of its end."""

    @property
    def end_column(self) -> int:
        """The column after its last character."""

    @property
    def file(self) -> str:
        """The file's name; empty for the file that is being read."""


class Span(Struct, frozen=True):
    """A stretch of the file."""

    line: int = 1
    column: int = 1
    end_line: int = 1
    end_column: int = 2
    file: str = ""


class Scalar(Struct):
    """One value as written; ``plain`` when it stands without quotes."""

    text: str
    plain: bool
    line: int
    column: int
    end_line: int
    end_column: int
    file: str = ""

    @property
    def is_null(self) -> bool:
        """Whether it is YAML's null: empty, ``~`` or ``null``."""
        return self.plain and self.text in _NULLS


class Listing(Struct):
    """A YAML sequence."""

    items: "list[Node]"
    line: int
    column: int
    end_line: int
    end_column: int
    file: str = ""


class Mapping(Struct):
    """A YAML mapping; keys are scalars, each text once, merge keys already merged."""

    entries: "list[tuple[Scalar, Node]]"
    line: int
    column: int
    end_line: int
    end_column: int
    file: str = ""


Node = Scalar | Listing | Mapping

_NULLS = frozenset({"", "~", "null", "Null", "NULL"})
_BOOLEANS = {
    "true": True, "True": True, "TRUE": True, "false": False, "False": False, "FALSE": False,
}  # fmt: skip
_INTEGER = re.compile(r"[-+]?[0-9]{1,4000}", re.ASCII)
_BASED = re.compile(r"0o[0-7]{1,4000}|0x[0-9a-fA-F]{1,4000}", re.ASCII)
_FLOAT = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?", re.ASCII)


def kind_of(node: Node) -> str:
    """What people call a node in a message: ``a list``, ``a mapping``, ``null`` or ``a value``."""
    if isinstance(node, Listing):
        return "a list"
    if isinstance(node, Mapping):
        return "a mapping"
    return "null" if node.is_null else "a value"


def number_of(text: str) -> int | float | None:
    """The number that a text is under the core rules, if any; infinities and not-a-number are not."""
    if _INTEGER.fullmatch(text):
        return int(text)
    if _BASED.fullmatch(text):
        return int(text, 0)
    if _FLOAT.fullmatch(text) and math.isfinite(number := float(text)):
        return number
    return None


def value_of(node: Node) -> Any:
    """The node as data: ``None``, ``bool``, ``int``, ``float``, ``str``, ``list`` and ``dict`` with text keys.

    A number that JSON cannot carry (``.inf``, ``.nan``, beyond all bounds) stays its source text.
    """
    if isinstance(node, Listing):
        return [value_of(item) for item in node.items]
    if isinstance(node, Mapping):
        return {key.text: value_of(value) for key, value in node.entries}
    if not node.plain:
        return node.text
    if node.is_null:
        return None
    if node.text in _BOOLEANS:
        return _BOOLEANS[node.text]
    number = number_of(node.text)
    return node.text if number is None else number


def character(at: Placed, text: str, position: int | None) -> Placed:
    """The character of a one-line scalar at ``position``, from 0; the scalar itself where that cannot be told."""
    quotes = (at.end_column - at.column - len(text)) // 2
    if position is None or at.line != at.end_line or quotes not in {0, 1}:
        return at
    column = at.column + quotes + max(0, min(position, len(text) - 1))
    return Span(at.line, column, at.line, column + 1, at.file)
