"""Values that the workflow writes as references (``timeout: "${LIMIT}"``), when the time has come to know them.

Pure. ``settled`` replaces every ``Deferred`` in a policy by its value; the other functions say to the type checker
that a value is settled.
"""

from typing import Any, TypeVar, cast

from msgspec import Struct, structs

from prodigy.workflow.model import Bytes, Count, Deferred, Seconds, Share, Step
from prodigy.workflow.scalars import ScalarError, resolved
from prodigy.workflow.scope import Scope
from prodigy.workflow.template import render_text
from prodigy.workflow.values import TemplateError

T = TypeVar("T")


class BadValue(TemplateError):
    """A reference leads to something that is not the kind of value that its place needs."""

    def __init__(self, value: Deferred, text: str, reason: str) -> None:
        super().__init__("bad-value", f"{value.source} is {text!r}: {reason}")
        self.where = str(value.mark)


def settled(value: T, scope: Scope) -> T:
    """``value`` with every deferred value in it known; structs, tuples and dicts are looked through.

    Steps inside it are left as they are: their values are known when they start.

    Raises:
        TemplateError: a reference leads nowhere; ``BadValue`` where it leads to the wrong kind of value.
    """
    return cast("T", _fields(value, scope) if isinstance(value, Step) else _settled(value, scope))


def _settled(value: Any, scope: Scope) -> Any:
    match value:
        case Deferred():
            return _known(value, scope)
        case Step():
            return value
        case Struct():
            return _fields(value, scope)
        case tuple():
            parts = tuple(_settled(part, scope) for part in value)
            return value if all(new is old for new, old in zip(parts, value, strict=True)) else parts
        case dict():
            return {key: _settled(part, scope) for key, part in value.items()}
        case _:
            return value


def _fields(value: Struct, scope: Scope) -> Struct:
    changed = {
        name: new
        for name in value.__struct_fields__
        if (new := _settled(old := getattr(value, name), scope)) is not old
    }
    return structs.replace(value, **changed) if changed else value


def _known(value: Deferred, scope: Scope) -> float | None:
    text = render_text(value.source, scope)
    try:
        return resolved(value, text)
    except ScalarError as error:
        raise BadValue(value, text, error.message) from None


# -- what is settled -----------------------------------------------------------------------------------------------
def seconds(value: Seconds) -> float | None:
    """A settled duration; ``None`` for no limit."""
    assert not isinstance(value, Deferred)
    return value


def count(value: Count) -> int:
    """A settled number of things."""
    assert not isinstance(value, Deferred)
    return value


def share(value: Share) -> float:
    """A settled number."""
    assert not isinstance(value, Deferred)
    return value


def size(value: Bytes) -> int | None:
    """Settled bytes; ``None`` for no limit."""
    assert not isinstance(value, Deferred)
    return value
