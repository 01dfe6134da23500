"""Work items: from the content of an input to the items of a run, with their ids.

Pure. The caller reads the file or runs the command; items are chosen once and recorded, never chosen again. The rules
apply in a fixed order: path, filter, sorting, distinct, offset, maximum; validation looks at what is left.
"""

import csv
import io
import re
from collections.abc import Mapping, Sequence
from pathlib import PurePath
from typing import Any, Literal

import msgspec
from msgspec import Struct

from prodigy.errors import RunError
from prodigy.ids import ItemId, content_hash, item_ids
from prodigy.workflow.item_rules import Rules, choose
from prodigy.workflow.item_schema import faults_of
from prodigy.workflow.json_path import BadJsonPath, find
from prodigy.workflow.model import ItemValidation, MapPhase
from prodigy.workflow.scope import ItemScope, Scope
from prodigy.workflow.template import render_text

InputKind = Literal["file", "command", "missing"]

DATA_SUFFIXES = frozenset({".json", ".jsonl", ".ndjson", ".yml", ".yaml", ".csv", ".txt"})
_ONE_WORD = re.compile(r"[^\s|&;<>()$`\\\"'*?\[\]#~=%!{}]+")
_WHOLE_FILE = frozenset({"", "$"})


class BadInput(RunError):
    """The input of a map phase cannot be read as items."""

    def __init__(self, message: str, *, where: str | None = None, hint: str | None = None) -> None:
        super().__init__("bad-input", message, where=where, hint=hint)


class Selection(Struct, frozen=True, kw_only=True):
    """The chosen items in order, each with its id.

    ``found`` counts what the path led to; the next four say how many items each rule left out, as in ``Chosen``.
    ``matched`` is false when the path led nowhere at all. ``faults`` says of chosen items that the phase's validation
    refuses, by their place, what is wrong with them, one sentence each.
    """

    items: tuple[Any, ...]
    ids: tuple[ItemId, ...]
    found: int
    filtered: int
    duplicates: int
    before: int
    beyond: int
    matched: bool
    faults: Mapping[int, tuple[str, ...]]


def input_kind(text: str, *, exists: bool) -> InputKind:
    """What an input's text is: ``"file"``, ``"command"``, or ``"missing"`` for a file that is not there.

    Args:
        text: the text, interpolated.
        exists: whether it names an existing file.
    """
    if exists:
        return "file"
    word = text.strip()
    if _ONE_WORD.fullmatch(word.removeprefix("~/")) and (
        "/" in word or PurePath(word).suffix.lower() in DATA_SUFFIXES
    ):
        return "missing"
    return "command"


def read_content(content: bytes, suffix: str = "", *, where: str | None = None) -> Any:
    """The root value of an input's content.

    Args:
        content: a file's bytes, or what a command printed.
        suffix: the file's suffix, ``""`` for a command. It decides between CSV, YAML, JSON and plain lines.
        where: the file's name, for errors.

    Raises:
        BadInput: the content is not what the suffix says, or not text.
    """
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise BadInput(f"byte {error.start} of the input is not UTF-8", where=where) from None
    match suffix.lower():
        case ".csv":
            return _csv(text, where)
        case ".yml" | ".yaml":
            return _yaml(text, where)
        case ".json":
            return _json(text, where)
        case ".jsonl" | ".ndjson":
            return _json_lines(text, where)
        case _:
            return _document_or_lines(text)


def select(
    phase: MapPhase, root: Any, scope: Scope | None = None, *, from_command: bool = False
) -> Selection:
    """The items in a root value; ``from_command`` if it is what a command printed.

    Raises:
        BadInput: the path cannot be followed, or an ``item_id`` is empty.
        TemplateError: the rules cannot be applied, or an ``item_id`` refers to something that an item lacks.
    """
    found, matched = find_items(phase.json_path, root, from_command=from_command)
    rules = Rules(
        filter=phase.filter,
        sort_by=phase.sort_by,
        distinct=phase.distinct,
        offset=phase.offset,
        max_items=phase.max_items,
    )
    chosen = choose(found, rules, scope)
    return Selection(
        items=chosen.items,
        ids=tuple(item_ids(_names(phase.item_id, chosen.items, scope))),
        found=len(found),
        filtered=chosen.filtered,
        duplicates=chosen.duplicates,
        before=chosen.before,
        beyond=chosen.beyond,
        matched=matched,
        faults=_faults(chosen.items, phase.validation),
    )


def find_items(json_path: str, root: Any, *, from_command: bool = False) -> tuple[list[Any], bool]:
    """The items that a path leads to, and whether it leads anywhere.

    A path to one list means its elements; a root that is no list is the one item of the path ``$``.

    Raises:
        BadInput: the path cannot be followed.
    """
    path = json_path.strip()
    whole = path in _WHOLE_FILE or (from_command and path == "$[*]" and isinstance(root, dict))
    if whole and not isinstance(root, list):
        return [root], True
    try:
        found = find(path, root)
    except BadJsonPath as error:
        raise BadInput(f"`json_path` {path}: {error.message}") from None
    if found.singular and len(found.values) == 1 and isinstance(found.values[0], list):
        return found.values[0], True
    return found.values, bool(found.values)


def _faults(items: Sequence[Any], rules: ItemValidation | None) -> dict[int, tuple[str, ...]]:
    if rules is None:
        return {}
    found = ((index, faults_of(item, rules)) for index, item in enumerate(items))
    return {index: faults for index, faults in found if faults}


def _names(item_id: str | None, items: Sequence[Any], scope: Scope | None) -> list[str]:
    """What the items are called: as the workflow says, else by their content."""
    if item_id is None:
        return [content_hash(item) for item in items]
    names: list[str] = []
    for index, item in enumerate(items):
        name = render_text(item_id, ItemScope(item, index, len(items), scope))
        if not name.strip():
            raise BadInput(
                f"item {index} has an empty `item_id`", hint="give the reference a default with `:-`"
            )
        names.append(name)
    return names


def _document_or_lines(text: str) -> Any:
    """One JSON document, else several lines of JSON, else every line that is not blank as text."""
    if not text.strip():
        return []
    try:
        return msgspec.json.decode(text)
    except (msgspec.DecodeError, RecursionError):
        lines = [line for line in text.splitlines() if line.strip()]
    try:
        return [msgspec.json.decode(line) for line in lines]
    except (msgspec.DecodeError, RecursionError):
        return lines


def _json(text: str, where: str | None) -> Any:
    if not text.strip():
        return []
    try:
        return msgspec.json.decode(text)
    except msgspec.DecodeError as error:
        failure = str(error)
    except RecursionError:
        failure = "it is nested too deep"
    lines = _document_or_lines(text)
    if len(lines) > 1 and not isinstance(lines[0], str):
        return lines
    raise BadInput(f"the input is not JSON: {failure}", where=where)


def _json_lines(text: str, where: str | None) -> list[Any]:
    items: list[Any] = []
    for number, line in enumerate(text.split("\n"), start=1):
        if not line.strip():
            continue
        try:
            items.append(msgspec.json.decode(line))
        except (msgspec.DecodeError, RecursionError) as error:
            raise BadInput(f"line {number} of the input is not JSON: {error}", where=where) from None
    return items


def _csv(text: str, where: str | None) -> list[dict[str, str]]:
    reader = csv.reader(io.StringIO(text, newline=""), strict=True)
    try:
        header, *rows = [row for row in reader if row] or [[]]
    except csv.Error as error:
        raise BadInput(f"line {reader.line_num} of the input is not CSV: {error}", where=where) from None
    if len(set(header)) < len(header):
        raise BadInput("the header of the input names a column twice", where=where)
    for number, row in enumerate(rows, start=1):
        if len(row) > len(header):
            message = f"row {number} of the input has {len(row)} values for {len(header)} columns"
            raise BadInput(message, where=where)
    return [dict(zip(header, [*row, *[""] * (len(header) - len(row))], strict=True)) for row in rows]


def _yaml(text: str, where: str | None) -> Any:
    from prodigy.workflow.nodes import value_of
    from prodigy.workflow.problems import Problems
    from prodigy.workflow.source import read

    problems = Problems(where or "<input>")
    root = read(text, problems)
    if problems.invalid:
        first = problems.sorted()[0]
        raise BadInput(f"the input is not YAML: {first.message}", where=str(first.mark))
    return [] if root is None else value_of(root)
