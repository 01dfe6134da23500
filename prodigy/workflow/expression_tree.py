"""What an expression consists of: nodes that know their value.

Pure. ``value`` may answer ``UNDEFINED``, which the nodes around it treat as null. Columns count the characters of the
expression from 1.
"""

from collections.abc import Callable, Iterator
from typing import Any, Literal, Protocol

from msgspec import Struct

from prodigy.workflow.expression_functions import Operation
from prodigy.workflow.expression_values import Kind, kind_of, truth
from prodigy.workflow.refs import AnyRef, Ref
from prodigy.workflow.scope import UNDEFINED, ItemScope, Path, Scope, resolve, resolve_item
from prodigy.workflow.values import UndefinedVariable, text

Fill = Callable[[AnyRef, Scope], Any]
"""Gives the typed value of a reference in a scope: ``template.evaluate``."""


class Frame(Struct, frozen=True):
    """What the names of an expression mean during one evaluation."""

    scope: Scope
    fill: Fill
    item: Any = UNDEFINED
    index: int = 0


class Node(Protocol):
    """A part of an expression."""

    def value(self, frame: Frame) -> Any:
        """Its value."""

    def parts(self) -> Iterator["Node"]:
        """The parts it is made of."""


class Leaf(Struct, frozen=True):
    """A node without parts."""

    def parts(self) -> Iterator[Node]:
        """None."""
        return iter(())


class Constant(Leaf, frozen=True):
    """A literal."""

    constant: Any

    def value(self, frame: Frame) -> Any:  # noqa: ARG002 - the same everywhere
        """The literal itself."""
        return self.constant


class Variable(Leaf, frozen=True):
    """A bare name that is a workflow variable."""

    path: Path
    column: int

    def value(self, frame: Frame) -> Any:
        """What the scope knows."""
        return frame.scope.lookup(self.path)


class Field(Leaf, frozen=True):
    """A bare name that is a field of the item: ``item.x`` and ``x`` are the same, ``index`` is the item's place."""

    path: Path
    column: int

    def value(self, frame: Frame) -> Any:
        """The field."""
        return field_of(frame.item, frame.index, self.path)


class Subject(Leaf, frozen=True):
    """``value`` in the validation of a parameter."""

    path: Path
    column: int

    def value(self, frame: Frame) -> Any:
        """The value, or the part of it that the rest of the path leads to."""
        if frame.item is UNDEFINED:
            return frame.scope.lookup(self.path)
        return resolve(frame.item, self.path[1:])


class Filled(Leaf, frozen=True):
    """``${…}``: a workflow variable, never a bare field of the item, with its typed value."""

    ref: AnyRef
    column: int

    def value(self, frame: Frame) -> Any:
        """The value after default, modifiers and filters, ``UNDEFINED`` if it leads nowhere."""
        if isinstance(self.ref, Ref) and self.ref.is_path:
            return frame.scope.lookup(self.ref.path)
        try:
            return frame.fill(self.ref, frame.scope)
        except UndefinedVariable:
            return UNDEFINED


class Quoted(Struct, frozen=True):
    """A string literal with references in it."""

    pieces: tuple[str | Filled, ...]

    def value(self, frame: Frame) -> str:
        """The text with its references filled in; those that lead nowhere are empty."""
        return "".join(piece if isinstance(piece, str) else _text(piece, frame) for piece in self.pieces)

    def parts(self) -> Iterator[Node]:
        """Its references."""
        return (piece for piece in self.pieces if not isinstance(piece, str))


class ListOf(Struct, frozen=True):
    """A list literal."""

    elements: tuple[Node, ...]

    def value(self, frame: Frame) -> list[Any]:
        """The elements' values; what is undefined is null."""
        found = (element.value(frame) for element in self.elements)
        return [None if value is UNDEFINED else value for value in found]

    def parts(self) -> Iterator[Node]:
        """Its elements."""
        return iter(self.elements)


class Not(Struct, frozen=True):
    """The opposite of a truth."""

    part: Node

    def value(self, frame: Frame) -> bool:
        """Whether the part is false."""
        return not truth(self.part.value(frame))

    def parts(self) -> Iterator[Node]:
        """What is denied."""
        yield self.part


class Junction(Struct, frozen=True):
    """Parts joined by ``and`` or ``or``; those after the one that decides are not looked at."""

    word: Literal["and", "or"]
    terms: tuple[Node, ...]

    def value(self, frame: Frame) -> bool:
        """Whether all (any) of the terms are true."""
        truths = (truth(term.value(frame)) for term in self.terms)
        return all(truths) if self.word == "and" else any(truths)

    def parts(self) -> Iterator[Node]:
        """Its terms."""
        return iter(self.terms)


class Comparison(Struct, frozen=True):
    """Two operands and what is asked about them; ``sign`` is the operator as ``expression_functions`` lists it."""

    sign: str
    operation: Operation
    left: Node
    right: Node

    def value(self, frame: Frame) -> bool:
        """The answer."""
        return self.operation(self.left.value(frame), self.right.value(frame))

    def parts(self) -> Iterator[Node]:
        """Left, right."""
        yield self.left
        yield self.right


class Exists(Struct, frozen=True):
    """``x exists`` and ``x.exists``; of the latter, ``own`` is the field that is really called so."""

    part: Node
    own: Node | None = None

    def value(self, frame: Frame) -> Any:
        """The field of that name if there is one, else whether the part is defined."""
        found = UNDEFINED if self.own is None else self.own.value(frame)
        return self.part.value(frame) is not UNDEFINED if found is UNDEFINED else found

    def parts(self) -> Iterator[Node]:
        """What may exist."""
        yield self.part


class Call(Struct, frozen=True):
    """A function and its arguments."""

    name: str
    apply: Any
    arguments: tuple[Node, ...]

    def value(self, frame: Frame) -> Any:
        """What the function makes of its arguments."""
        return self.apply(*[argument.value(frame) for argument in self.arguments])

    def parts(self) -> Iterator[Node]:
        """Its arguments."""
        return iter(self.arguments)


class Each(Struct, frozen=True):
    """``any`` and ``all``: a condition on the elements of a list, whose bare names are fields of the element."""

    word: Literal["any", "all"]
    source: Node
    condition: Node

    def value(self, frame: Frame) -> bool:
        """Whether the condition holds for any (all) elements; false for what is no list."""
        elements = self.source.value(frame)
        if kind_of(elements) is not Kind.LIST:
            return False
        truths = (truth(self.condition.value(inner)) for inner in _frames(elements, frame))
        return any(truths) if self.word == "any" else all(truths)

    def parts(self) -> Iterator[Node]:
        """List and condition."""
        yield self.source
        yield self.condition


def field_of(item: Any, index: int, path: Path) -> Any:
    """What a bare name means for an item: its field, the item itself (``item``), or its place (``index``)."""
    if path[0] == "item":
        return resolve_item(item, path[1:])
    return index if path == ("index",) else resolve_item(item, path)


def item_frame(item: Any, index: int, total: int, under: Scope | None, fill: Fill) -> Frame:
    """A frame in which bare names are fields of ``item`` and references can read it as well."""
    return Frame(ItemScope(item, index, total, under), fill, item, index)


def _frames(elements: list[Any], frame: Frame) -> Iterator[Frame]:
    total = len(elements)
    return (
        item_frame(element, index, total, frame.scope, frame.fill) for index, element in enumerate(elements)
    )


def _text(piece: Filled, frame: Frame) -> str:
    value = piece.value(frame)
    return "" if value is UNDEFINED else text(value, piece.ref)
