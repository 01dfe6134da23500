"""``override``: what is laid over a composed document at last.

Pure. A mapping is merged like a document over its base. A dotted key is a way into the tree,
``commands.0.on_failure.max_attempts``: keys of mappings, and numbers of elements of lists from 0.
"""

import re
from collections.abc import Sequence

from msgspec import structs

from prodigy.workflow.merging import DOCUMENT, Level, is_null, merged, place
from prodigy.workflow.nodes import Listing, Mapping, Node, Scalar, kind_of
from prodigy.workflow.problems import Problems, quoted

_NUMBER = re.compile(r"[0-9]{1,9}")
_DEEPEST = 64
"""Parts that a way may have: no document is deeper."""


def overridden(root: Mapping, override: Mapping, problems: Problems) -> Mapping:
    """The document with what ``override`` says; nulls remove."""
    plain = [pair for pair in override.entries if "." not in pair[0].text]
    found = merged(root, structs.replace(override, entries=plain))
    for key, value in override.entries:
        way = key.text.split(".")
        if len(way) > _DEEPEST:
            problems.error("bad-value", f"{quoted(key.text)} leads deeper than any workflow", key)
        elif len(way) > 1:
            changed = _set(found, way, value, key, DOCUMENT, problems)
            found = changed if isinstance(changed, Mapping) else found
    return found


def _set(
    node: Node, way: Sequence[str], value: Node, key: Scalar, level: Level, problems: Problems
) -> Node | None:
    """A tree in which what the way leads to has another value; ``None`` if it is to be removed."""
    if not way:
        return None if is_null(value) else value
    if isinstance(node, Listing):
        return _in_list(node, way, value, key, level, problems)
    if not isinstance(node, Mapping):
        message = f"{quoted(key.text)} leads into {kind_of(node)}, which has no {quoted(way[0])}"
        problems.error("bad-value", message, key)
        return node
    name = level.name(way[0])
    entries: list[tuple[Scalar, Node]] = []
    there = False
    for own, inner in node.entries:
        if level.name(own.text) != name:
            entries.append((own, inner))
            continue
        there = True
        changed = _set(inner, way[1:], value, key, level.under(name), problems)
        if changed is not None:
            entries.append((own, changed))
    if not there and not is_null(value):
        made = _set(Mapping([], *place(value)), way[1:], value, key, level.under(name), problems)
        assert made is not None
        entries.append((Scalar(way[0], True, *place(key)), made))
    return structs.replace(node, entries=entries)


def _in_list(
    node: Listing, way: Sequence[str], value: Node, key: Scalar, level: Level, problems: Problems
) -> Node:
    number = int(way[0]) if _NUMBER.fullmatch(way[0]) else None
    if number is None or number >= len(node.items):
        count = len(node.items)
        hint = "elements are numbered from 0"
        message = f"{quoted(key.text)} leads into a list of {count}, which has no element {quoted(way[0])}"
        problems.error("bad-value", message, key, hint)
        return node
    changed = _set(node.items[number], way[1:], value, key, level, problems)
    items = [*node.items]
    items[number : number + 1] = [] if changed is None else [changed]
    return structs.replace(node, items=items)
