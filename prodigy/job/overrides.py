"""What the command line puts over a workflow's own choices. Pure."""

from typing import Any

from msgspec import Struct, structs

from prodigy.events import Backend
from prodigy.workflow.model import Budget, ClaudeOptions, OnConflict, Retry, Workflow


class Overrides(Struct, frozen=True, kw_only=True):
    """Choices by flag; ``None`` leaves the workflow's.

    ``model`` is for Claude steps for which the workflow names none.
    """

    max_parallel: int | None = None
    attempts: int | None = None
    """At each item."""
    max_items: int | None = None
    on_conflict: OnConflict | None = None
    model: str | None = None
    budget: Budget | None = None
    """Bounds that take the place of the workflow's."""
    backend: Backend | None = None
    """What Claude steps run, in the place of what the run was begun with."""

    def then(self, later: "Overrides") -> "Overrides":
        """These, and those that were given later in their place."""
        given = {
            name: value for name in self.__struct_fields__ if (value := getattr(later, name)) is not None
        }
        return structs.replace(self, **given)


def overridden(workflow: Workflow, chosen: Overrides) -> Workflow:
    """The workflow with the choices put over its own."""
    from prodigy.job.caps import budgeted  # whoever only reads states fills in no templates

    workflow = structs.replace(
        workflow,
        on_conflict=chosen.on_conflict or workflow.on_conflict,
        budget=budgeted(workflow.budget, chosen.budget),
    )
    if workflow.map is not None:
        own = workflow.map
        bounded = structs.replace(
            own,
            max_parallel=chosen.max_parallel or own.max_parallel,
            max_items=own.max_items if chosen.max_items is None else chosen.max_items,
            on_conflict=chosen.on_conflict or own.on_conflict,
        )
        if chosen.attempts is not None:
            retry = structs.replace(own.policy.retry or Retry(), attempts=chosen.attempts)
            bounded = structs.replace(bounded, policy=structs.replace(own.policy, retry=retry))
        workflow = structs.replace(workflow, map=bounded)
    if chosen.model is None:
        return workflow
    modelled: Workflow = _with_model(workflow, chosen.model)
    return modelled


def _with_model(value: Any, model: str) -> Any:
    """``value`` with a model in all options of Claude in it that name none."""
    match value:
        case ClaudeOptions():
            return structs.replace(value, model=value.model or model)
        case Struct():
            parts = {name: getattr(value, name) for name in value.__struct_fields__}
            changed = {
                name: new for name, part in parts.items() if (new := _with_model(part, model)) is not part
            }
            return structs.replace(value, **changed) if changed else value
        case tuple():
            new_parts = tuple(_with_model(part, model) for part in value)
            return value if all(new is old for new, old in zip(new_parts, value, strict=True)) else new_parts
        case dict():
            return {key: _with_model(part, model) for key, part in value.items()}
        case _:
            return value
