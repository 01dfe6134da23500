"""What the texts of declared variables can refer to: the environment so far, and the variables around it.

Pure.
"""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from msgspec import Struct

from prodigy.workflow.scope import UNDEFINED, ComputedKind, Path, Question, Scope, resolve


class Values(Struct, frozen=True):
    """Variables that were worked out (``known``), then those of the workflow, then what lies below.

    ``answers`` are values that only an effect tells.
    """

    known: Mapping[str, str]
    base: Mapping[str, str]
    around: Scope
    answers: Mapping[Question, str] = {}

    def lookup(self, path: Path) -> Any:
        """The value at ``path``; ``env`` is the environment so far, unless a parameter has the field."""
        root = str(path[0])
        if len(path) == 1 and root in self.known:
            return self.known[root]
        value = self.around.lookup(path)
        if value is not UNDEFINED and root != "env":
            return value
        if root == "env":
            own = resolve({**self.base, **self.known}, path[1:])
            return value if own is UNDEFINED else own
        return resolve(self.base.get(root, UNDEFINED), path[1:])

    def knows(self, root: str) -> bool:
        """Whether the name has, or may have, a value."""
        return root == "env" or root in self.known or root in self.base or self.around.knows(root)

    def names(self) -> Iterator[str]:
        """Every name of the environment, then those around it."""
        yield from self.known
        yield from self.base
        yield from self.around.names()

    def secret(self, path: Path) -> None:
        """Texts of variables hold values; what is made of a secret is no secret by itself."""

    def computed(self, kind: ComputedKind, argument: str) -> Any:
        """What was answered, else as around."""
        answer = self.answers.get((kind, argument))
        return self.around.computed(kind, argument) if answer is None else answer


class Others(Struct, frozen=True):
    """The variables around, for a command, whose shell itself knows the environment."""

    environment: Mapping[str, str]
    around: Scope

    def lookup(self, path: Path) -> Any:
        """The value at ``path``, if it is not the shell's."""
        return self.around.lookup(path) if self.knows(str(path[0])) else UNDEFINED

    def knows(self, root: str) -> bool:
        """Whether the name is known around, and no variable of the environment."""
        return root not in self.environment and self.around.knows(root)

    def names(self) -> Iterable[str]:
        """The names around."""
        return (name for name in self.around.names() if name not in self.environment)

    def secret(self, path: Path) -> str | None:
        """As around."""
        return self.around.secret(path)

    def computed(self, kind: ComputedKind, argument: str) -> Any:
        """As around."""
        return self.around.computed(kind, argument)


class Plain(Struct, frozen=True):
    """Variables given by name, and nothing else."""

    roots: Mapping[str, Any] = {}

    def lookup(self, path: Path) -> Any:
        """The value at ``path``."""
        root, *rest = path
        value = self.roots.get(str(root), UNDEFINED)
        return UNDEFINED if value is UNDEFINED else resolve(value, rest)

    def knows(self, root: str) -> bool:
        """Whether the name was given."""
        return root in self.roots

    def names(self) -> Iterable[str]:
        """Every name that was given."""
        return self.roots

    def secret(self, path: Path) -> None:
        """None of them is."""

    def computed(self, kind: ComputedKind, argument: str) -> Any:  # noqa: ARG002 - nothing is
        """Nothing is computed."""
        return UNDEFINED
