"""Static checks of the names that a workflow gives: ids, captures and variables of a step's environment.

Pure. A name of the language that nothing may take is an error; one that hides another value is a warning.
"""

from collections.abc import Collection

from prodigy.workflow.declared import Declared
from prodigy.workflow.known import Known
from prodigy.workflow.locate import Places, point
from prodigy.workflow.model import Capture, Environment, Mark, PhaseOutput
from prodigy.workflow.nodes import Span
from prodigy.workflow.problems import Problems
from prodigy.workflow.variables import KINDS, RESERVED, variable


class NameChecker:
    """Checks names as the steps go by, and remembers the captures for ``unused``."""

    def __init__(self, declared: Declared, places: Places, problems: Problems) -> None:
        self.declared = declared
        self.places = places
        self.problems = problems
        self._captures: dict[Mark, tuple[str, bool]] = {}

    def id(self, name: str, mark: Mark, seen: dict[str, Mark]) -> None:
        """An id is unique in its list and no name of the language; ``seen`` are those before it."""
        if name in seen:
            hint = f"the first one is in the step at {seen[name]}"
            message = f"the id `{name}` is used twice in this list"
            self.problems.error("bad-value", message, self.places.value(mark, name, "id"), hint)
        seen.setdefault(name, mark)
        if name in RESERVED:
            message = f"`{name}` is a name of the language and cannot be an id"
            self.problems.error("reserved-name", message, self.places.value(mark, name, "id"))
        elif variable(name) is not None:
            message = f"the id `{name}` hides a variable of the same name"
            self.problems.warning("overwrites-builtin", message, self.places.value(mark, name, "id"))

    def capture(self, capture: Capture | PhaseOutput, known: Known) -> None:
        """A capture's name, which is known from here on."""
        name, mark = capture.name, capture.mark
        root, dot, rest = name.partition(".")
        at = self.places.find(mark, name)
        if root in KINDS and dot and rest == "output":
            message = f"the capture `{name}` hides the output of the last `{root}` step"
            self.problems.warning("overwrites-builtin", message, at)
            return
        if self._taken(name, root, at, "capture"):
            known.define(root)  # told once, and not again where it is read
            return
        known.define(root, is_text=not dot and _is_text(capture))
        self._captures.setdefault(mark, (name, known.phase == "agents"))

    def aggregate(self, name: str, mark: Mark) -> None:
        """The name of one of ``map.variables``."""
        self._taken(name, name, self.places.find(mark, name), "variable")

    def _taken(self, name: str, root: str, at: Span, what: str) -> bool:
        """Whether a name is one that nothing may take; told, and so is what it hides."""
        if root in RESERVED:
            message = f"`{root}` is a name of the language and cannot be a {what}"
            self.problems.error("reserved-name", message, at)
            return True
        if variable(root) is not None:
            message = f"the {what} `{name}` hides a variable of the same name"
            self.problems.warning("overwrites-builtin", message, at)
        elif root in self.declared.environment or root in self.declared.parameters:
            hidden = "parameter" if root in self.declared.parameters else "environment variable"
            message = f"the {what} `{name}` hides the {hidden} of the same name"
            self.problems.warning("overwrites-builtin", message, at)
        return False

    def environment(self, layer: Environment) -> None:
        """A step's own layer sets no secret of the workflow."""
        for declared in (*layer.variables, *layer.secrets):
            if declared.name in self.declared.secrets:
                message = f"`{declared.name}` is a secret of the workflow and cannot be set for one step"
                self.problems.error("conflicting-keys", message, point(declared.mark))

    def unused(self, used: Collection[str], *, all_agents: bool) -> None:
        """Captures that no text asks for; ``all_agents`` if those of agents are read through ``map.results``."""
        for mark, (name, in_agents) in self._captures.items():
            if name.partition(".")[0] not in used and not (in_agents and all_agents):
                message = f"the capture `{name}` is never used"
                self.problems.warning("unused-capture", message, self.places.find(mark, name))


def _is_text(capture: Capture | PhaseOutput) -> bool:
    """Whether the value is one text, and no list or number."""
    whole = (
        capture.multiline != "array" and capture.json_path is None
        if isinstance(capture, PhaseOutput)
        else True
    )
    return (
        whole
        and capture.source in {"stdout", "stderr", "both", "pattern"}
        and capture.format in {"string", "raw"}
    )
