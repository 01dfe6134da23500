"""What readers of actions and handlers need of the reader of steps: the steps inside a step.

Pure.
"""

from typing import Protocol

from prodigy.workflow.fields import Field, Fields, Reader
from prodigy.workflow.model import Mark, Step
from prodigy.workflow.nodes import Mapping, Node
from prodigy.workflow.parse_command import Plain
from prodigy.workflow.problems import quoted
from prodigy.workflow.vocabulary import Vocabulary


class Nested(Protocol):
    """Reads steps at one depth, with what they inherit."""

    @property
    def reader(self) -> Reader:
        """Of fields and values."""
        ...

    def inside(self, fields: Fields | None = None) -> "Nested":
        """The reader of steps one level deeper; they inherit what ``fields`` say."""
        ...

    def steps(self, node: Node) -> tuple[Step, ...]:
        """A list of steps, in which plain text runs Claude."""
        ...

    def handlers(self, node: Node) -> tuple[Step, ...]:
        """A list of steps, in which plain text is a shell command, or one mapping with one or more actions."""
        ...

    def actions(self, node: Mapping, fields: Fields) -> tuple[Step, ...]:
        """The steps of one mapping with one or more actions: shell first, then Claude, then the others."""
        ...

    def action(self, entry: Field) -> Step:
        """The step that has this action and nothing else."""
        ...

    def command(self, entry: Field, plain: Plain) -> Step:
        """The step that one text is; ``plain`` is what it is without a prefix."""
        ...

    def mark(self, node: Node) -> Mark:
        """Where a node stands."""
        ...


def absorb(reader: Reader, fields: Fields, inner: Fields, place: str) -> None:
    """Take options of a step that stand inside its action as if they stood beside it.

    Args:
        reader: of values.
        fields: the step's own; they get the others.
        inner: those inside.
        place: where ``inner`` stands, for the message about what is given twice.
    """
    for name, entry in inner.found.items():
        if name in fields.found:
            message = f"{quoted(entry.key.text)} is given beside {quoted(place)} and inside it"
            reader.problems.error("conflicting-keys", message, entry.key, "keep one of them")
        else:
            fields.found[name] = entry
    fields.suspected |= inner.suspected
    fields.refused |= inner.refused


def refuse_options(reader: Reader, fields: Fields) -> None:
    """Report options of a step where a mapping holds a list of steps, or no step at all."""
    for entry in fields.found.values():
        message = f"{quoted(entry.key.text)} has no step to belong to here"
        reader.problems.error(
            "conflicting-keys", message, entry.key, "put it into the step that it speaks of"
        )


def with_foreach(node: Mapping, plain: Vocabulary, extended: Vocabulary) -> Vocabulary:
    """The vocabulary of a mapping: the extended one if it has ``foreach``."""
    return extended if any(key.text == "foreach" for key, _ in node.entries) else plain
