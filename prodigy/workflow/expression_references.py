"""Which names an expression uses.

Pure.
"""

from collections.abc import Iterator
from typing import Literal

from msgspec import Struct

from prodigy.workflow.expression_functions import EQUALITY
from prodigy.workflow.expression_tree import (
    Call,
    Comparison,
    Exists,
    Field,
    Filled,
    ListOf,
    Node,
    Subject,
    Variable,
)
from prodigy.workflow.refs import AnyRef, Computed, Ref, path_text
from prodigy.workflow.scope import Path

_ASKING = frozenset({"defined", "exists"})
_OWN_WORDS = frozenset({"item", "index", "value"})


class Reference(Struct, frozen=True):
    """A name that an expression uses: a workflow variable, or a field of the item (or value) at hand.

    ``ref`` is what stands in ``${…}``; ``path`` is empty for a computed one. ``bare`` marks a single word on the right
    of ``==``, ``!=`` or ``in [..]``, which was perhaps meant as text; ``optional`` one that may be undefined without
    harm, because it has a default or its existence is what is asked.
    """

    path: Path
    column: int
    kind: Literal["variable", "field"]
    ref: AnyRef | None = None
    bare: bool = False
    optional: bool = False

    @property
    def written(self) -> str:
        """The name as people write it, without ``${`` and ``}``."""
        return self.ref.name if isinstance(self.ref, Ref) else path_text(self.path)

    @property
    def source(self) -> str:
        """The reference as it stands in its expression."""
        return path_text(self.path) if self.ref is None else self.ref.source


def references(node: Node, *, bare: bool = False, optional: bool = False) -> Iterator[Reference]:
    """Every name below a node, in the order of the source."""
    match node:
        case Variable(path, column):
            yield Reference(path, column, "variable", None, bare and len(path) == 1, optional)
        case Field(path, column) | Subject(path, column):
            is_word = len(path) == 1 and path[0] not in _OWN_WORDS
            yield Reference(path, column, "field", None, bare and is_word, optional)
        case Filled(ref, column):
            path = () if isinstance(ref, Computed) else ref.path
            has_default = isinstance(ref, Ref) and ref.default is not None
            yield Reference(path, column, "variable", ref, bare=False, optional=optional or has_default)
        case _:
            asking = isinstance(node, Exists) or (isinstance(node, Call) and node.name in _ASKING)
            for part in node.parts():
                word = _is_meant_as_text(part, node) or (bare and isinstance(node, ListOf))
                yield from references(part, bare=word, optional=asking)


def _is_meant_as_text(part: Node, of: Node) -> bool:
    """Whether a single word in this place could be text without its quotes."""
    match of:
        case Comparison(sign="in", right=right):
            return part is right and isinstance(part, ListOf)
        case Comparison(sign=sign, right=right):
            return part is right and sign in EQUALITY
        case Call(name="in"):
            return isinstance(part, ListOf)
        case _:
            return False
