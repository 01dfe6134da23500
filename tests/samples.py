"""A record of every type, with a value in every field; and the journal that keeps what releases wrote.

``python tests/samples.py`` adds to that journal what the present release can record and it does not hold yet. Lines
that are there are never touched: later releases have to read them.
"""

import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, get_args
from uuid import UUID

import msgspec
from msgspec import inspect

from prodigy.events import FORMAT, AnyEvent, Metadata, Record, event_type
from prodigy.store.lines import line_of

KEPT = Path(__file__).parent / "store/golden/every-record.jsonl"
_AT = datetime(2026, 11, 22, 8, 15, tzinfo=UTC)


_SCALARS: dict[type[inspect.Type], Any] = {
    inspect.StrType: "text",
    inspect.IntType: 7,
    inspect.FloatType: 0.25,
    inspect.DateTimeType: _AT.isoformat(),
    inspect.AnyType: {"some": ["data", 1, None]},
}


def sample(kind: inspect.Type, default: object = msgspec.NODEFAULT) -> Any:
    """A value of a type, as plain data; another one than ``default``."""
    found: Any
    match kind:
        case inspect.BoolType():
            found = default is not True
        case inspect.LiteralType(values=values):
            found = next(value for value in values if value != default)
        case inspect.UnionType(types=types):
            found = sample(next(one for one in types if not isinstance(one, inspect.NoneType)), default)
        case inspect.VarTupleType(item_type=item) | inspect.ListType(item_type=item):
            found = [sample(item)]
        case inspect.DictType(key_type=key, value_type=value):
            found = {sample(key): sample(value)}
        case inspect.StructType(fields=fields):
            found = {field.encode_name: sample(field.type, field.default) for field in fields}
        case _:
            found = _SCALARS[type(kind)]
    return found


def event_sample(kind: type[AnyEvent]) -> AnyEvent:
    """An event of a type, with a value in every field."""
    info = inspect.type_info(kind)
    return msgspec.convert(sample(info) | {"event_type": kind.__struct_config__.tag}, kind, builtin_types=())


def record_of_event(event: AnyEvent, seq: int) -> Record:
    """A record with a value in every field."""
    metadata = Metadata(host="host", pid=7, boot_id="boot", session_id="session")
    number = UUID(int=seq)
    return Record(
        v=FORMAT, seq=seq, id=number, timestamp=_AT, correlation_id=number, event=event, metadata=metadata, batch=seq
    )  # fmt: skip


def told() -> dict[str, set[str]]:
    """By type, the fields that the kept journal has."""
    found: dict[str, set[str]] = {}
    for line in KEPT.read_bytes().splitlines() if KEPT.exists() else ():
        event = msgspec.json.decode(line)["event"]
        found.setdefault(event.pop("event_type"), set()).update(event)
    return found


def untold() -> Iterator[AnyEvent]:
    """Samples of what the present release can record and the kept journal does not show."""
    known = told()
    for kind in get_args(AnyEvent):
        fields = {field.encode_name for field in msgspec.structs.fields(kind)}
        seen = known.get(str(kind.__struct_config__.tag))
        if seen is None or not fields <= seen:
            yield event_sample(kind)


def keep() -> list[str]:
    """Add what is missing; the types of it."""
    missing = list(untold())
    seq = len(KEPT.read_bytes().splitlines()) if KEPT.exists() else 0
    with KEPT.open("ab") as kept:
        for number, event in enumerate(missing, seq + 1):
            kept.write(line_of(record_of_event(event, number))[0])
    return [event_type(event) for event in missing]


if __name__ == "__main__":
    sys.stdout.writelines(f"{kind}\n" for kind in keep())
