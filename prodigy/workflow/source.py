"""The text of a workflow file as a marked tree.

Pure. One document of plain data: no tags, no duplicate keys, bounded size, depth and aliases. YAML comes from
libyaml's event stream and is built here, so that every bound holds *while* the text is read and every node knows
its place. Problems are collected; only broken syntax ends the reading.
"""

import re
from typing import Any

import yaml
from msgspec import Struct, field

from prodigy.workflow.json_source import JsonSyntaxError, read_json
from prodigy.workflow.nodes import Listing, Mapping, Node, Placed, Scalar, Span
from prodigy.workflow.problems import Problems, quoted, split_lines

MAX_BYTES = 1024 * 1024
MAX_DEPTH = 64
MAX_NODES = 200_000

_Loader: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_MERGE = "<<"


class _Stop(Exception):
    """Nothing after this place can be read."""


class _Anchored(Struct):
    """What an alias stands for; ``node`` is ``None`` while its own inside is still being read."""

    node: Node | None = None
    size: int = 0
    height: int = 0


class _Open(Struct):
    """A list or mapping that is still being filled."""

    mapping: bool
    line: int
    column: int
    anchor: _Anchored | None
    items: list[Node] = field(default_factory=list)
    entries: list[tuple[Scalar, Node]] = field(default_factory=list)
    merged: list[tuple[Scalar, Node]] = field(default_factory=list)
    seen: dict[str, int] = field(default_factory=dict)
    key: Scalar | None = None
    awaits_value: bool = False
    size: int = 1
    height: int = 0


def decode(data: bytes, problems: Problems) -> str | None:
    """The text of a file, or ``None`` with the problem recorded."""
    if len(data) > MAX_BYTES:
        problems.error("yaml-limit", f"the file is larger than {MAX_BYTES // 1024} KiB", Span())
        return None
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        lines = split_lines(data[: error.start].decode("utf-8", "replace").lstrip("\ufeff"))
        at = _point(len(lines), len(lines[-1]) + 1)
        problems.error("not-utf8", f"byte 0x{data[error.start]:02x} is not UTF-8", at)
        return None
    if "\0" in text:
        lines = split_lines(text[: text.index("\0")])
        problems.error("yaml-syntax", "the file contains a NUL byte", _point(len(lines), len(lines[-1]) + 1))
        return None
    return text


def read(text: str, problems: Problems, *, json: bool = False) -> Node | None:
    """The root of the file, or ``None`` when it is empty or broken beyond reading (then a problem says so)."""
    if json:
        return _read_json(text, problems)
    try:
        return _Builder(text, problems).document()
    except _Stop:
        return None
    except yaml.YAMLError as error:
        _syntax_error(error, text, problems)
        return None


def _read_json(text: str, problems: Problems) -> Node | None:
    try:
        return read_json(text, problems, MAX_DEPTH)
    except JsonSyntaxError as error:
        problems.error(error.code, error.message, error.at)
        return None


def _point(line: int, column: int) -> Span:
    return Span(line, column, line, column + 1)


def _syntax_error(error: yaml.YAMLError, text: str, problems: Problems) -> None:
    mark = getattr(error, "problem_mark", None)
    context_mark = getattr(error, "context_mark", None)
    if context_mark is not None and mark is not None and mark.line >= text.count("\n"):
        mark = context_mark  # the end of the file says less than where the unfinished thing began
    if mark is None:
        position = getattr(error, "position", 0)
        offset = len(text.encode()[:position].decode(errors="ignore"))
        lines = split_lines(text[:offset])
        at = _point(len(lines), len(lines[-1]) + 1)
    else:
        at = _point(mark.line + 1, mark.column + 1)
    message = getattr(error, "problem", None) or getattr(error, "reason", None) or "cannot be read"
    context = getattr(error, "context", None)
    said = f"{context}: {message}" if context else message
    lines = split_lines(text)
    line = lines[at.line - 1] if at.line <= len(lines) else ""
    problems.error("yaml-syntax", said, at, *_syntax_hints(said, line, at.column - 1))


def _syntax_hints(said: str, line: str, column: int) -> list[str]:
    """What somebody can do about broken syntax at a column (from 0) of a line."""
    if "cannot start any token" in said:
        return [_start_hint(line, column)]
    if "mapping values are not allowed" in said and _ONLY_KEY.fullmatch(line, 0, column):
        return ["check the indentation: this line does not stand under the one above"]
    return [hint for needle, hint in _SYNTAX_HINTS.items() if needle in said]


def _start_hint(line: str, column: int) -> str:
    letter = line[column : column + 1]
    if letter == "\t":
        return "YAML indents with spaces, not with tabs"
    if line.startswith("```"):
        return "leave out the lines with three backquotes: they belong to the page that the workflow was on"
    return f"text that starts with {'a backquote' if letter == '`' else quoted(letter)} needs quotes"


_ONLY_KEY = re.compile(r"\s*(?:-\s+)*[\w.-]+")
_SYNTAX_HINTS = {
    "mapping values are not allowed": "put the text in quotes, or under `|`, when it contains `: `",
    "did not find expected key": "check the indentation, and quotes inside quoted text",
    "unexpected end of stream": "a quote is opened and never closed",
    "while scanning an alias": "text that starts with `*` needs quotes",
    "while scanning an anchor": "text that starts with `&` needs quotes",
}


class _Builder:
    """Builds the tree from events; one method per event."""

    def __init__(self, text: str, problems: Problems) -> None:
        self.problems = problems
        self.next_event = _Loader(text).get_event
        self.open: list[_Open] = []
        self.anchors: dict[str, _Anchored] = {}
        self.nodes = 0
        self.root: Node | None = None
        self.documents = 0

    def document(self) -> Node | None:
        handlers = {
            yaml.ScalarEvent: self.scalar,
            yaml.MappingStartEvent: self.start,
            yaml.SequenceStartEvent: self.start,
            yaml.MappingEndEvent: self.end,
            yaml.SequenceEndEvent: self.end,
            yaml.AliasEvent: self.alias,
            yaml.DocumentStartEvent: self.begin,
        }
        while (event := self.next_event()) is not None:
            if (handle := handlers.get(type(event))) is not None:
                handle(event)
        return self.root

    def begin(self, event: Any) -> None:
        self.documents += 1
        if self.documents > 1:
            self._fail("yaml-syntax", "a workflow file holds one document only", event)

    def scalar(self, event: Any) -> None:
        if event.tag is not None:
            self._tag(event)
        start, end = event.start_mark, event.end_mark
        node = Scalar(
            event.value,
            event.implicit[0] and not event.style,
            start.line + 1,
            start.column + 1,
            end.line + 1,
            end.column + 1,
        )
        anchor = self._anchor(event)
        self._place(node, 1, 0)
        if anchor is not None:
            anchor.node, anchor.size = node, 1

    def start(self, event: Any) -> None:
        if event.tag is not None:
            self._tag(event)
        if len(self.open) >= MAX_DEPTH:
            self._fail("yaml-limit", f"nested more than {MAX_DEPTH} levels deep", event)
        mark = event.start_mark
        mapping = type(event) is yaml.MappingStartEvent
        self.open.append(_Open(mapping, mark.line + 1, mark.column + 1, self._anchor(event)))

    def end(self, event: Any) -> None:
        done = self.open.pop()
        end = event.end_mark
        node: Node
        if done.mapping:
            entries = done.entries + [pair for pair in done.merged if pair[0].text not in done.seen]
            node = Mapping(entries, done.line, done.column, end.line + 1, end.column + 1)
        else:
            node = Listing(done.items, done.line, done.column, end.line + 1, end.column + 1)
        self._place(node, done.size, done.height + 1)
        if done.anchor is not None:
            done.anchor.node, done.anchor.size, done.anchor.height = node, done.size, done.height + 1

    def alias(self, event: Any) -> None:
        target = self.anchors.get(event.anchor)
        if target is None:
            self._fail("yaml-syntax", f"there is no anchor {quoted('&' + event.anchor)} before this", event)
        elif target.node is None:
            self._fail("yaml-limit", f"{quoted('*' + event.anchor)} stands inside its own anchor", event)
        elif len(self.open) + target.height > MAX_DEPTH:
            self._fail("yaml-limit", f"nested more than {MAX_DEPTH} levels deep", event)
        else:
            self._place(target.node, target.size, target.height)

    def _place(self, node: Node, size: int, height: int) -> None:
        """Put a finished node where it belongs: the root, a list, a key or a value."""
        self.nodes += 1
        if not self.open:
            self.root = node
            return
        top = self.open[-1]
        top.size += size
        top.height = max(top.height, height)
        if top.size > MAX_NODES or self.nodes > MAX_NODES:
            self._fail("yaml-limit", f"more than {MAX_NODES} values after aliases are followed", node)
        if not top.mapping:
            top.items.append(node)
        elif not top.awaits_value:
            top.key, top.awaits_value = self._key(node), True
        else:
            top.awaits_value = False
            self._entry(top, node)

    def _key(self, node: Node) -> Scalar | None:
        if isinstance(node, Scalar):
            return node
        hint = "text that starts with `{` or `[` needs quotes"
        self.problems.error("wrong-type", "a key must be plain text, not a list or mapping", node, hint)
        return None

    def _entry(self, top: _Open, value: Node) -> None:
        key = top.key
        if key is None:
            return
        if key.text in top.seen:
            first = top.seen[key.text]
            message = f"{quoted(key.text)} is given twice in one mapping"
            self.problems.error("duplicate-key", message, key, f"the first one is on line {first}")
            return
        top.seen[key.text] = key.line
        if key.plain and key.text == _MERGE:
            self._merge(top, value)
        else:
            top.entries.append((key, value))

    def _merge(self, top: _Open, value: Node) -> None:
        """``<<``: keys of other mappings, the earlier one first, our own keys before all."""
        sources = value.items if isinstance(value, Listing) else [value]
        for source in sources:
            if not isinstance(source, Mapping):
                self.problems.error("wrong-type", "`<<` merges a mapping or a list of mappings", source)
                continue
            known = {key.text for key, _ in top.merged}
            top.merged += [pair for pair in source.entries if pair[0].text not in known]

    def _anchor(self, event: Any) -> _Anchored | None:
        if event.anchor is None:
            return None
        self.anchors[event.anchor] = anchored = _Anchored()
        return anchored

    def _tag(self, event: Any) -> None:
        message = f"the tag {quoted(event.tag)} is not allowed: a workflow is plain data"
        self.problems.error("yaml-tag", message, _span(event))

    def _fail(self, code: str, message: str, where: Any) -> None:
        at: Placed = _span(where) if isinstance(where, yaml.Event) else where
        self.problems.error(code, message, at)
        raise _Stop


def _span(event: Any) -> Span:
    start, end = event.start_mark, event.end_mark
    return Span(start.line + 1, start.column + 1, end.line + 1, end.column + 1)
