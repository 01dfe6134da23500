"""``foreach`` in all its shapes, from marked nodes to the model.

Pure.
"""

from typing import Literal

from prodigy.workflow.fields import Field, Fields, Reader
from prodigy.workflow.language_steps import FOREACH, FOREACH_INPUT, FOREACH_OPTIONS
from prodigy.workflow.model import Count, Foreach, Items, Step
from prodigy.workflow.nodes import Listing, Mapping, Scalar, value_of
from prodigy.workflow.parse_nested import Nested, absorb
from prodigy.workflow.parse_sort import read_sort
from prodigy.workflow.problems import quoted

PARALLEL = 10
"""Bodies at a time where only ``parallel: true`` is said."""


def read_foreach(nested: Nested, entry: Field, fields: Fields) -> Foreach:
    """The action; its options may stand inside it or among the step's fields, which lose them."""
    reader = nested.reader
    below = nested.inside(fields)
    beside = {name: fields.found.pop(name) for name in FOREACH_OPTIONS if name in fields.found}
    options = Fields(beside, fields.suspected, fields.refused)
    source: Field | None = entry
    if isinstance(entry.value, Mapping):
        absorb(reader, options, reader.fields(entry.value, FOREACH), "foreach")
        source = options.get("input")
        if source is None and not options.attempted(("input",)):
            hint = "a list, or a command that prints the items"
            reader.problems.error("missing-key", "`foreach` needs `input`", entry.key, hint)
    items, inner_path = _input(nested, source, entry)
    path = options.get("json_path")
    if path is not None and inner_path is not None:
        message = "`json_path` is given beside the file and outside it"
        reader.problems.error("conflicting-keys", message, path.key, "keep one of them")
    return Foreach(
        input=items,
        steps=_body(below, entry, options),
        parallel=_parallel(reader, options.get("parallel")),
        continue_on_error=reader.boolean(options.get("continue_on_error")) or False,
        json_path=reader.json_path(path or inner_path) or "",
        filter=reader.expr(options.get("filter"), "item"),
        sort_by=read_sort(reader, options.get("sort_by")),
        max_items=reader.count(options.get("max_items"), 0),
    )


def _body(below: Nested, entry: Field, options: Fields) -> tuple[Step, ...]:
    do = options.get("do")
    if do is None:
        if not options.attempted(("do",)):
            hint = "the steps for each item"
            below.reader.problems.error("missing-key", "`foreach` needs `do`", entry.key, hint)
        return ()
    steps = below.steps(do.value)
    if not steps:
        below.reader.problems.error("no-steps", f"{quoted(do.key.text)} has no steps", do.key)
    return steps


def _input(nested: Nested, source: Field | None, owner: Field) -> tuple[Items, Field | None]:
    """Where the items come from, and the path that was given beside a file."""
    if source is None:
        return Items(source="list", mark=nested.mark(owner.value)), None
    if not isinstance(source.value, Mapping):
        return _items(nested, source, "auto"), None
    reader = nested.reader
    fields = reader.fields(source.value, FOREACH_INPUT)
    given = [field for name in ("list", "command", "file") if (field := fields.get(name)) is not None]
    if len(given) != 1:
        if given or not fields.attempted(("list", "command", "file")):
            message = "`foreach` takes its items from one of `list`, `command` and `file`"
            reader.problems.error("conflicting-keys" if given else "missing-key", message, source.value)
        return Items(source="list", mark=nested.mark(source.value)), None
    (only,) = given
    if only.name == "list" and not isinstance(only.value, Listing):
        reader.wrong_type(only.value, "`list`", "a list")
    path = fields.get("json_path")
    kind: Literal["auto", "command", "file"] = "auto"
    if only.name == "command":
        kind = "command"
    elif only.name == "file":
        kind = "file"
    return _items(nested, only, kind), path


def _items(nested: Nested, source: Field, kind: Literal["auto", "command", "file"]) -> Items:
    mark = nested.mark(source.value)
    if isinstance(source.value, Listing) and kind == "auto":
        return Items(source="list", items=tuple(value_of(item) for item in source.value.items), mark=mark)
    return Items(source=kind, text=nested.reader.filled(source) or "", mark=mark)


def _parallel(reader: Reader, entry: Field | None) -> Count:
    """``true``, ``false``, or how many at a time."""
    if entry is None:
        return 1
    if isinstance(entry.value, Scalar) and entry.value.text.strip().lower() in {"true", "false"}:
        return PARALLEL if reader.boolean(entry) else 1
    found = reader.count(entry, 1)
    return 1 if found is None else found
