"""Looking for a text in records: in all that a record says, or in some of its fields."""

import re
import typing
from collections.abc import Callable, Iterator, Sequence

import msgspec

from prodigy import events
from prodigy.errors import UsageError
from prodigy.events import Record

_OF_RECORDS = frozenset({"seq", "id", "timestamp", "correlation_id"})
_OTHER_NAMES = {"files_modified": "files_changed"}
"""Fields as older releases of other programs spell them."""


def searcher(pattern: str, fields: Sequence[str]) -> Callable[[Record], bool]:
    """Whether a record has what ``pattern`` finds.

    Args:
        pattern: a regular expression.
        fields: where to look, such as ``message`` or ``error.message``; without any it is the whole record as JSON.

    Raises:
        UsageError: ``bad-value``: no regular expression, with its position; or no record has such a field.
    """
    try:
        found = re.compile(pattern).search
    except re.error as error:
        place = "" if error.pos is None else f" at character {error.pos + 1}"
        raise UsageError(
            "bad-value",
            f"`{pattern}` is no regular expression: {error.msg}{place}",
            hint="a character that means itself is written with a backslash, such as `\\.`",
        ) from None
    if not fields:
        return lambda record: found(msgspec.json.encode(record).decode()) is not None
    paths = [_path(field) for field in fields]
    return lambda record: any(found(text) for path in paths for text in _texts(record, path))


def _path(field: str) -> list[str]:
    first, *rest = field.removeprefix("event.").split(".")
    first = _OTHER_NAMES.get(first, first)
    known = _OF_RECORDS | _fields_of_events()
    if first not in known:
        from difflib import get_close_matches  # only on the way to an error

        near = get_close_matches(first, known, n=3)
        hint = "did you mean " + " or ".join(f"`{name}`" for name in near) if near else None
        raise UsageError("bad-value", f"No record has a field `{first}`", hint=hint)
    return [first, *rest]


def _fields_of_events() -> frozenset[str]:
    kinds = typing.get_args(events.AnyEvent)
    return frozenset(field.encode_name for kind in kinds for field in msgspec.structs.fields(kind)) | {
        "event_type"
    }


def _texts(record: Record, path: Sequence[str]) -> Iterator[str]:
    """The values at ``path``: of a list each, texts as they are, others as JSON."""
    values = [msgspec.to_builtins(record if path[0] in _OF_RECORDS else record.event)]
    for name in path:
        values = [value[name] for value in values if isinstance(value, dict) and name in value]
    for value in values:
        for part in value if isinstance(value, list | tuple) else [value]:
            yield part if isinstance(part, str) else msgspec.json.encode(part).decode()
