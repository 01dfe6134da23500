"""What is known of a workflow's texts before a run: parameters, plain variables, the branch.

Pure. Everything else stays as it is written; what setup will tell is marked as such.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

from msgspec import Struct, structs

from prodigy.workflow.layers import definitions, profile_layers, step_names
from prodigy.workflow.model import Deferred, Step, StepList, Workflow
from prodigy.workflow.refs import Ref, body_end, parse_ref
from prodigy.workflow.scope import UNDEFINED, ComputedKind, Path, resolve
from prodigy.workflow.template import evaluate
from prodigy.workflow.values import TemplateError, text

AFTER_SETUP: Final = "‹after setup›"  # noqa: RUF001 - marks that no script and no shell has a meaning for
"""Stands for a value that setup will tell."""
_OURS: Final = "setup"


class Foresight(Struct, frozen=True):
    """A scope of the values that are known already; ``later`` are names that setup will give a value to."""

    values: Mapping[str, Any]
    later: frozenset[str] = frozenset()

    # -- the scope -------------------------------------------------------------------------------------------------
    def lookup(self, path: Path) -> Any:
        """The value at ``path``, if it is known."""
        root, *rest = path
        return resolve(self.values[str(root)], rest) if root in self.values else UNDEFINED

    def knows(self, root: str) -> bool:
        """Whether the name has a value already."""
        return root in self.values

    def names(self) -> Iterable[str]:
        """All names that have one."""
        return self.values.keys()

    def secret(self, path: Path) -> None:
        """Secrets are never known beforehand."""

    def computed(self, kind: ComputedKind, argument: str) -> Any:
        """Nothing is computed beforehand."""
        del kind, argument
        return UNDEFINED

    # -- texts -----------------------------------------------------------------------------------------------------
    def fill(self, source: str) -> str:
        """A text, a script as well, with the references that are known filled in, for people to read."""
        pieces: list[str] = []
        position = 0
        while (start := source.find("${", position)) >= 0:
            end = body_end(source, start + 2, len(source))
            if end < 0:
                break
            reference = source[start : end + 1]
            literal = source[max(0, start - 1) : start] in {"\\", "$"}
            pieces += source[position:start], reference if literal else self._value(reference)
            position = end + 1
        return "".join((*pieces, source[position:]))

    def is_known(self, source: str) -> bool:
        """Whether a text has no reference left once it is filled."""
        filled = self.fill(source)
        return "${" not in filled and AFTER_SETUP not in filled

    def _value(self, source: str) -> str:
        ref = parse_ref(source[2:-1])
        if not isinstance(ref, Ref):
            return source
        if ref.root not in self.values:
            return AFTER_SETUP if ref.root in self.later else source
        try:
            return text(evaluate(ref, self), ref)
        except TemplateError:
            return source

    def deferred(self, value: Any) -> Any:
        """A value as it will be; one that is not known yet as the text that it is written as."""
        return self.fill(value.source) if isinstance(value, Deferred) else value

    # -- other places ----------------------------------------------------------------------------------------------
    def inside(self, step: Step) -> "Foresight":
        """What is known in a step: the values that a template's use gives it are too."""
        if not step.locals:
            return self
        own = {local.name: local.data for local in step.locals if local.text is None}
        own |= {local.name: self.fill(local.text.source) for local in step.locals if local.text is not None}
        return structs.replace(self, values={**self.values, **own})

    def after(self, setup: StepList | None) -> "Foresight":
        """What is known in the phases after setup."""
        if setup is None:
            return self
        names = step_names(Workflow(name="", mode="sequential", setup=setup)) | {_OURS}
        return structs.replace(self, later=names)


def foresee(
    workflow: Workflow, branch: str | None, profile: str | None, arguments: Sequence[str] = ()
) -> Foresight:
    """What is known before a run.

    Args:
        workflow: the workflow, with its parameters.
        branch: the one that the work is for.
        profile: the active one.
        arguments: the values that the workflow is run with; with several, a plain workflow has another one each time.
    """
    found = definitions(profile_layers(workflow, profile), profile)
    plain = {
        name: chain[-1].value.text
        for name, chain in found.items()
        if chain[-1].value.kind in {"text", "literal"}
        and not any(definition.secret for definition in chain)
        and "$" not in chain[-1].value.text
    }
    around: dict[str, Any] = {"branch": branch, "workflow": {"name": workflow.name}}
    around |= {f"ARG_{number}": value for number, value in enumerate(arguments, 1)}
    if arguments and (len(arguments) == 1 or workflow.map is not None):
        around |= {"ARG": arguments[0], "INDEX": 1}
    if arguments:
        around["TOTAL"] = len(arguments)
    return Foresight({**around, **plain, **workflow.parameters})
