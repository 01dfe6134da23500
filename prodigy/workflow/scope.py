"""Where the values of variables come from, and how a path reads one.

Pure, and free of everything a worker process should not load. Values are plain data: ``None``, ``bool``, ``int``,
``float``, ``str``, lists and mappings with text keys. Secrets are plain text too; that they are secrets is asked
apart (``Scope.secret``), so that a script can refer to them by their environment variable instead of holding them.
"""

from collections.abc import Iterable, Mapping, Sequence
from enum import Enum
from typing import Any, Final, Literal, Protocol

import msgspec
from msgspec import Struct

Path = tuple[str | int, ...]
"""Root name, then keys, indexes (negative ones from the end) and ``"*"`` for every element."""


class Undefined(Enum):
    """The answer to a name or path that leads nowhere; not the same as ``None``, which is a value."""

    UNDEFINED = "undefined"


UNDEFINED: Final = Undefined.UNDEFINED

_ITEM_ROOTS = ("item", "item_index", "item_total", "item_json")

ComputedKind = Literal["date", "uuid", "file", "json", "cmd"]
"""Values that exist only because a text asks for them, such as ``${date:%Y-%m-%d}`` and ``${file:VERSION}``."""
WORKED_OUT: Final[frozenset[ComputedKind]] = frozenset({"file", "json", "cmd"})
"""Those whose argument is a text with references itself."""
Question = tuple[str, str]
"""What is asked of the world: a kind, such as a computed one, and what is asked of it."""


class Scope(Protocol):
    """What the references of a text may use."""

    def lookup(self, path: Path) -> Any:
        """The value at ``path``, or ``UNDEFINED``."""

    def knows(self, root: str) -> bool:
        """Whether ``root`` is a name of ours here, even if it has no value yet."""

    def names(self) -> Iterable[str]:
        """All names that ``knows`` accepts, for suggestions."""

    def secret(self, path: Path) -> str | None:
        """The environment variable in which every child finds the value at ``path``, if that value is a secret.

        ``None`` for all other values, also for one that hides a secret of the same name. ``("env", NAME)`` is as
        secret as ``(NAME,)``.
        """

    def computed(self, kind: ComputedKind, argument: str) -> Any:
        """A computed value, the same however often one attempt at a step asks for it.

        ``UNDEFINED`` where nothing is computed. ``texts.uses_of`` tells beforehand what the texts of a step will
        ask for; ``argument`` is what stands after the kind.

        Raises:
            TemplateError: it could not be worked out.
        """


class ItemScope(Struct, frozen=True):
    """What is known of one work item before it has an id, over the variables around it.

    ``item.value`` and ``item.item`` are the item itself unless it has such a key; indexes count from 0.
    """

    item: Any
    index: int
    total: int
    under: Scope | None = None

    def lookup(self, path: Path) -> Any:
        """The value at ``path``."""
        root, *rest = path
        match root:
            case "item":
                return resolve_item(self.item, rest)
            case "item_index" | "item_total":
                return resolve(self.index if root == "item_index" else self.total, rest)
            case "item_json":
                return resolve(msgspec.json.encode(self.item).decode(), rest)
        return UNDEFINED if self.under is None else self.under.lookup(path)

    def knows(self, root: str) -> bool:
        """Whether the name is one of the item's, or known around it."""
        return root in _ITEM_ROOTS or (self.under is not None and self.under.knows(root))

    def names(self) -> Iterable[str]:
        """The item's names, then those around it."""
        yield from _ITEM_ROOTS
        if self.under is not None:
            yield from self.under.names()

    def secret(self, path: Path) -> str | None:
        """As around the item; its own values are no secrets."""
        return None if self.under is None or path[0] in _ITEM_ROOTS else self.under.secret(path)

    def computed(self, kind: ComputedKind, argument: str) -> Any:
        """As around the item."""
        return UNDEFINED if self.under is None else self.under.computed(kind, argument)


def old_item_names(item: Any) -> dict[str, Any]:
    """What older workflows call the item and its path: ``ARGUMENT``, ``ARG``, ``FILE`` and ``FILE_PATH``.

    ``ARG`` gives way to an argument from the command line, the last two are there if the item has a ``path``.
    """
    path = resolve(item, ("path",))
    whole: dict[str, Any] = {
        "ARGUMENT": resolve_item(item, ("value",)),
        "ARG": resolve_item(item, ("value",)),
    }
    return whole if path is UNDEFINED else whole | {"FILE": path, "FILE_PATH": path}


def resolve(value: Any, path: Sequence[str | int]) -> Any:
    """The part of ``value`` that ``path`` (without a root) leads to.

    ``"*"`` collects from every element, with ``None`` where one lacks the rest. An index out of range is ``None``;
    a key that is missing, or asked of something that has no keys, is ``UNDEFINED``.
    """
    for place, key in enumerate(path):
        if key == "*":
            return _each(value, path[place + 1 :])
        value = _step(value, key)
        if value is UNDEFINED:
            return UNDEFINED
    return value


def resolve_item(item: Any, path: Sequence[str | int]) -> Any:
    """As ``resolve`` for a work item, where ``value`` and ``item`` are the item itself unless it has such a key."""
    found = resolve(item, path)
    if found is UNDEFINED and path and path[0] in {"value", "item"}:
        return resolve(item, path[1:])
    return found


def _each(value: Any, rest: Sequence[str | int]) -> Any:
    if isinstance(value, Mapping):
        elements: Iterable[Any] = value.values()
    elif isinstance(value, list | tuple):
        elements = value
    else:
        return UNDEFINED
    found = (resolve(element, rest) for element in elements)
    return [None if element is UNDEFINED else element for element in found]


def _step(value: Any, key: str | int) -> Any:
    if isinstance(value, Mapping):
        return value.get(str(key), UNDEFINED)
    if not isinstance(value, list | tuple):
        return UNDEFINED
    if isinstance(key, str):
        if not (key.isascii() and key.isdigit()):
            return UNDEFINED
        key = int(key[:10])
    return value[key] if -len(value) <= key < len(value) else None
