"""Kinds of values of the language as JSON Schema, and how mappings are made of them.

Pure data. A kind accepts what the reader of the same kind accepts, texts that mean a number or a duration included; what
only a parser can tell (whether an expression is one, whether a path exists) is left to it.
"""

import re
from collections.abc import Iterable, Mapping
from typing import Any, Final, NamedTuple, get_args, get_type_hints

from msgspec import Struct

from prodigy.workflow.scalars import REFERENCE
from prodigy.workflow.vocabulary import Key, Spelling, Standing, Vocabulary

Schema = dict[str, Any]

NULL: Final[Schema] = {"type": "null"}
ANYTHING: Final[Schema] = {}
FREE: Final = "^x-"
"""Keys that are the author's own."""

_NUMBER = r"(?:\d+(?:\.\d*)?|\.\d+)"
_SIGNED = rf"^\s*[-+]?{_NUMBER}(?:[eE][-+]?\d+)?\s*$"
_INTEGER = r"^\s*[-+]?\d{1,18}\s*$"


class Entry(NamedTuple):
    """What stands under a key: its shape, what it means, and whether the key itself is an old form."""

    schema: Schema
    words: str
    old: bool = False


Table = Mapping[str, Entry]
"""Entries by the canonical name of the key."""


# -- building blocks ---------------------------------------------------------------------------------------------------
def ref(name: str) -> Schema:
    """The definition of that name."""
    return {"$ref": f"#/$defs/{name}"}


def either(*schemas: Schema) -> Schema:
    """A value that fits at least one of them."""
    return {"anyOf": list(schemas)}


def listed(schema: Schema) -> Schema:
    """A list of such values."""
    return {"type": "array", "items": schema}


def one_or_more(schema: Schema) -> Schema:
    """One such value, or a list of them."""
    return either(schema, listed(schema))


def named(schema: Schema, pattern: str | None = None) -> Schema:
    """A mapping whose keys are names of the author's own; ``pattern`` is what they look like."""
    free: Schema = {"type": "object", "patternProperties": {FREE: ANYTHING}}
    if pattern is None:
        return free | {"additionalProperties": schema}
    return {
        **free,
        "patternProperties": {FREE: ANYTHING, pattern: schema},
        "additionalProperties": False,
    }


def integer(least: int | None = None, most: int | None = None) -> Schema:
    """A whole number between the two, written out."""
    return either(_bounded("integer", least, most), {"type": "string", "pattern": _INTEGER})


def count(least: int | None = None, most: int | None = None) -> Schema:
    """A whole number between the two, or a reference to one."""
    return either(*integer(least, most)["anyOf"], ref("reference"))


def number(least: float | None = None, most: float | None = None) -> Schema:
    """A number between the two, written out."""
    return either(_bounded("number", least, most), {"type": "string", "pattern": _SIGNED})


def share(least: float | None = None, most: float | None = None) -> Schema:
    """A number between the two, or a reference to one."""
    return either(*number(least, most)["anyOf"], ref("reference"))


def _bounded(kind: str, least: float | None, most: float | None) -> Schema:
    bounds = {"minimum": least, "maximum": most}
    return {"type": kind} | {name: bound for name, bound in bounds.items() if bound is not None}


def choice(*words: str) -> Schema:
    """One of several words; other styles of case are as good: ``per_agent``, ``per-agent``, ``PerAgent``."""
    styles = "|".join(_in_any_style(word) for word in words)
    return either({"enum": list(words)}, {"type": "string", "pattern": rf"^\s*(?:{styles})\s*$"})


def choice_of(struct: type[Struct], field: str, *also: str) -> Schema:
    """The words that a field of the model may hold, and further spellings."""
    return choice(*_literals(get_type_hints(struct)[field]), *also)


def _literals(hint: Any) -> list[str]:
    """The words of a ``Literal``, alone or in a union."""
    if isinstance(hint, str):
        return [hint]
    return [word for inner in get_args(hint) for word in _literals(inner)]


def _in_any_style(word: str) -> str:
    letters = (f"[{letter}{letter.upper()}]" if letter.isalpha() else re.escape(letter) for letter in word)
    return "".join(letters).replace("_", "[_ -]?")


# -- mappings ----------------------------------------------------------------------------------------------------------
def mapping(vocabulary: Vocabulary, *tables: Table, rest: Schema | bool = False) -> Schema:
    """A mapping with the keys of a vocabulary.

    Args:
        vocabulary: its keys in all spellings, and how each stands.
        tables: what stands under them; the first table that has a key counts.
        rest: what other keys may hold; by default there are none.

    Raises:
        KeyError: no table has an acting key.
    """
    properties = {text: _property(text, vocabulary.spellings[text], tables) for text in vocabulary.names()}
    styled = {f"^{_in_any_style(text)}$": schema for text, schema in properties.items()}
    return {
        "type": "object",
        "properties": properties,
        "patternProperties": {FREE: ANYTHING} | (styled if vocabulary.words else {}),
        "additionalProperties": rest,
    }


def needing(schema: Schema, *names: str) -> Schema:
    """The mapping, with keys that must be there."""
    return schema | {"required": list(names)}


def any_of_keys(names: Iterable[str]) -> Schema:
    """A mapping that has at least one of the keys."""
    return {"anyOf": [{"required": [name]} for name in names]}


def _property(text: str, spelling: Spelling, tables: Iterable[Table]) -> Schema:
    key = spelling.key
    if key.standing is Standing.LATER:
        return {"description": f"`{text}` is not supported yet.", **NULL}
    if key.standing is Standing.INERT:
        return {"description": f"Has no effect: {key.hint}.", "deprecated": True}
    entry = _entry(key, tables)
    words = entry.words if text == key.name else f"{entry.words} The same as `{_written(key)}`."
    described: Schema = {"description": words, **either(entry.schema, NULL)}
    return described | {"deprecated": True} if spelling.deprecated or entry.old else described


def _entry(key: Key, tables: Iterable[Table]) -> Entry:
    for table in tables:
        if key.name in table:
            return table[key.name]
    raise KeyError(key.name)


def _written(key: Key) -> str:
    return key.name.replace(".", ": ")


# -- kinds of values ---------------------------------------------------------------------------------------------------
_SIMPLE_DURATION: Final[list[Schema]] = [
    {"type": "number", "minimum": 0},
    {"type": "string", "pattern": rf"^\s*(?:{_NUMBER}\s*[A-Za-z]+\s*)+$"},
    {"type": "string", "pattern": rf"^\s*\+?{_NUMBER}(?:[eE][-+]?\d+)?\s*$"},
    {
        "type": "object",
        "properties": {"secs": integer(0), "nanos": integer(0)},
        "additionalProperties": False,
    },
]
_NONE: Final[Schema] = {"type": "string", "pattern": r"^\s*[nN][oO][nN][eE]\s*$"}

VALUES: Final[Mapping[str, Schema]] = {
    "reference": {
        "description": "A value that is known when it is used, such as `${LIMIT}`.",
        "type": "string",
        "pattern": REFERENCE.pattern,
    },
    "text": {"type": ["string", "number", "boolean"]},
    "filled": {"type": ["string", "number", "boolean"], "pattern": r"\S"},
    "texts": one_or_more({"type": ["string", "number", "boolean"]}),
    "boolean": either(
        {"type": "boolean"},
        {"type": "string", "pattern": r"^\s*(?:[tT][rR][uU][eE]|[fF][aA][lL][sS][eE])\s*$"},
    ),
    "duration": either(*_SIMPLE_DURATION),
    "fixed-limit": either(*_SIMPLE_DURATION, _NONE),
    "limit": either(*_SIMPLE_DURATION, _NONE, ref("reference")),
    "variable-duration": either(*_SIMPLE_DURATION, ref("reference")),
    "size": either(
        {"type": "number", "minimum": 0},
        {"type": "string", "pattern": rf"^\s*{_NUMBER}\s*(?:[kKmMgGtT][iI]?)?[bB]?\s*$"},
    ),
    "variable-size": either(ref("size"), ref("reference")),
    "fraction": either(
        {"type": "number", "minimum": 0, "maximum": 1},
        {"type": "string", "pattern": rf"^\s*\+?{_NUMBER}(?:[eE][-+]?\d+)?\s*%?\s*$"},
    ),
    "object-or-json": either({"type": "object"}, {"type": "string"}),
}
"""Definitions that keys refer to by name."""

TEXT, FILLED, TEXTS = ref("text"), ref("filled"), ref("texts")
BOOLEAN = ref("boolean")
DURATION, VARIABLE_DURATION = ref("duration"), ref("variable-duration")
LIMIT, FIXED_LIMIT = ref("limit"), ref("fixed-limit")
SIZE, VARIABLE_SIZE = ref("size"), ref("variable-size")
FRACTION = ref("fraction")
OBJECT_OR_JSON = ref("object-or-json")
STEPS, STEP_LIST = ref("steps"), ref("step-list")
ENVIRONMENT = ref("environment")
