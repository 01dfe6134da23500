"""``map.variables``: what the results of all agents become as one value, by name.

Pure. Whether a name is one of the language is for the checker to say.
"""

from typing import Any

from prodigy.workflow.fields import Field, Fields, Reader
from prodigy.workflow.language import AGGREGATE
from prodigy.workflow.model import AGGREGATE_TYPES, Aggregate, AggregateType, Expr
from prodigy.workflow.nodes import Mapping
from prodigy.workflow.parse_capture import is_variable_name
from prodigy.workflow.problems import quoted

_ALSO_TYPES: dict[str, AggregateType] = {"avg": "average"}
_UNREAD: AggregateType = "collect"
"""Stands for a type that is none, so that the variable is known."""
_INITIAL: dict[str, tuple[type | tuple[type, ...], str]] = {
    "count": (int, "a whole number"),
    **dict.fromkeys(("sum", "average", "median", "std_dev", "variance"), ((int, float), "a number")),
    **dict.fromkeys(("min", "max"), ((int, float, str), "a number or a text")),
    "concat": ((str, int, float), "a text"),
    **dict.fromkeys(("merge", "group_by"), (dict, "a mapping")),
}
"""What an initial value must be, by type; the others take anything."""


def read_aggregates(reader: Reader, entry: Field | None) -> tuple[Aggregate, ...]:
    """The aggregates in the order in which they are written; of one whose type cannot be read, what else it says."""
    return tuple(_aggregate(reader, one) for one in reader.given(entry) if is_variable_name(reader, one))


def _aggregate(reader: Reader, entry: Field) -> Aggregate:
    mark = reader.mark(entry.key)
    if not isinstance(entry.value, Mapping):
        type_ = reader.choice(entry, AGGREGATE_TYPES, _ALSO_TYPES)
        _by(reader, Fields({}), type_, entry)
        return Aggregate(name=entry.name, type=type_ or _UNREAD, mark=mark)
    fields = reader.fields(entry.value, AGGREGATE)
    type_ = reader.choice(fields.get("type"), AGGREGATE_TYPES, _ALSO_TYPES)
    if not fields.attempted(("type",)):
        hint = "such as `sum`, `unique` or `group_by`"
        reader.problems.error("missing-key", f"{quoted(entry.name)} needs `type`", entry.key, hint)
    return Aggregate(
        name=entry.name,
        type=type_ or _UNREAD,
        value=reader.expr(fields.get("value")),
        where=reader.expr(fields.get("where")),
        by=_by(reader, fields, type_, entry),
        initial=_initial(reader, fields.get("initial"), type_),
        mark=mark,
    )


def _by(reader: Reader, fields: Fields, type_: AggregateType | None, owner: Field) -> Expr | None:
    entry = fields.get("by")
    if entry is None and type_ == "group_by" and not fields.attempted(("by",)):
        hint = "what the groups are named by, such as `item.team`"
        reader.problems.error("missing-key", f"{quoted(owner.name)} needs `by`", owner.key, hint)
    if entry is not None and type_ not in {"group_by", None}:
        reader.no_effect(entry.key, f"`by` has no effect on `{type_}`", "it is for `group_by`")
    return reader.expr(entry)


def _initial(reader: Reader, entry: Field | None, type_: AggregateType | None) -> Any:
    value = reader.data(entry)
    if entry is None or type_ is None or type_ not in _INITIAL:
        return value
    types, wanted = _INITIAL[type_]
    if isinstance(value, types) and not isinstance(value, bool):
        return value
    reader.wrong_type(entry.value, f"`initial` of `{type_}`", wanted)
    return None
