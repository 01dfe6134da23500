"""What every work item must look like: ``map.validation``.

Pure. Fields are names or dotted paths. A field with a type may be missing unless it is required.
"""

from collections.abc import Mapping
from typing import Any, Final

from prodigy.workflow.expression_values import Kind, kind_of
from prodigy.workflow.model import ItemValidation
from prodigy.workflow.refs import PATH, parse_path
from prodigy.workflow.scope import UNDEFINED, Path, resolve, resolve_item

FIELD_TYPES: Final[Mapping[str, Kind]] = {
    "string": Kind.STRING,
    "number": Kind.NUMBER,
    "integer": Kind.NUMBER,
    "boolean": Kind.BOOL,
    "array": Kind.LIST,
    "object": Kind.OBJECT,
}
_NAMES = {
    Kind.NULL: "null",
    Kind.BOOL: "boolean",
    Kind.NUMBER: "number",
    Kind.STRING: "string",
    Kind.LIST: "array",
    Kind.OBJECT: "object",
}


def faults_of(item: Any, rules: ItemValidation) -> tuple[str, ...]:
    """What is wrong with an item, one sentence each; empty if it is valid."""
    missing = [f"it has no `{name}`" for name in rules.required_fields if _field(item, name) is UNDEFINED]
    wrong = [
        f"`{name}` is {_article(_type_name(value))}, not {_article(wanted)}"
        for name, wanted in rules.field_types.items()
        if (value := _field(item, name)) is not UNDEFINED and not _is_a(value, wanted)
    ]
    return (*missing, *wrong)


def _field(item: Any, name: str) -> Any:
    """A field by its own name, else by a path."""
    if isinstance(item, Mapping) and name in item:
        return item[name]
    path: Path = parse_path(name) if PATH.fullmatch(name) else (name,)
    return resolve_item(item, path[1:]) if path[0] == "item" else resolve(item, path)


def _is_a(value: Any, wanted: str) -> bool:
    if kind_of(value) is not FIELD_TYPES[wanted]:
        return False
    return wanted != "integer" or isinstance(value, int) or value.is_integer()


def _type_name(value: Any) -> str:
    return _NAMES[kind_of(value)]


def _article(name: str) -> str:
    return name if name == "null" else f"an {name}" if name[0] in "aio" else f"a {name}"
