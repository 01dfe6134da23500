"""What a run goes on with otherwise than before: other limits, items of its queue, another text of its workflow.

Pure. Where another workflow takes the place of the one before, a step whose text, options and place in its list are as they were is not done again; neither is what came before it.
From the first step on that is another one now, everything of that list is done as the new workflow says. Of a workflow
whose text is the same and which is configured otherwise, what was done stays done.
"""

from collections.abc import Sequence
from typing import Any, Final

from msgspec import Struct, structs, to_builtins

from prodigy.errors import UsageError
from prodigy.events import Backend, JobResumed, Phase
from prodigy.job.plan import RunPlan, without_places
from prodigy.job.state import JobState
from prodigy.workflow.model import Step


class Changes(Struct, frozen=True, kw_only=True):
    """What is wanted; nothing given: everything as it was.

    ``force`` and ``include`` are about items of the dead letter queue: of a run that is completed, with its reduce phase
    again afterwards; and of any other run, with all its other items.
    """

    reload: bool = False
    force: bool = False
    include: bool = False
    attempts: int | None = None
    """At each item that has not ended."""
    max_parallel: int | None = None
    model: str | None = None
    backend: Backend | None = None


def resumed(state: JobState, changes: Changes, old: RunPlan, new: RunPlan | None) -> JobResumed:
    """The record of a run that goes on so; ``new`` is the plan whose workflow takes the place of the one before."""
    event = JobResumed(
        item_ids=tuple(letter.item_id for letter in state.dead_letters.by_index()) if changes.include else (),
        max_parallel=changes.max_parallel,
        attempts=changes.attempts,
        model=changes.model,
        backend=changes.backend,
    )
    if new is None:
        return event
    return structs.replace(
        event,
        workflow_sha256=new.workflow_sha256,
        template_sha256=new.template_sha256,
        steps=new.steps(),
        unchanged=unchanged(state, old, new),
    )


_UNDER_WAY: Final = ("running", "failed")


def require_same_kind(plan: RunPlan, other: RunPlan) -> None:
    """Nothing, unless one of the two has a map phase and the other has not.

    Raises:
        UsageError: ``workflow-mismatch``.
    """
    if (plan.workflow.map is None) is not (other.workflow.map is None):
        has = "no `map` phase any more" if other.workflow.map is None else "a `map` phase now"
        raise UsageError(
            "workflow-mismatch",
            f"`{other.workflow_path}` has {has}: it is no workflow for this run",
            where=other.workflow_path,
        )


def unchanged(state: JobState, old: RunPlan, new: RunPlan) -> dict[Phase, int]:
    """How many steps at the beginning of each phase that is under way are as they were."""
    alike = _alike if old.workflow_sha256 != new.workflow_sha256 else _alike_by_text
    return {
        name: 0 if _told(old, name) != _told(new, name) else alike(_steps(old, name), _steps(new, name))
        for name, phase in state.phases.items()
        if phase.status in _UNDER_WAY
    }


def _steps(plan: RunPlan, phase: Phase) -> tuple[Step, ...]:
    if phase == "map":
        return plan.workflow.map.agent_template if plan.workflow.map is not None else ()
    return plan.step_list(phase).steps


def _told(plan: RunPlan, phase: Phase) -> Any:
    """What a phase hands on: steps that are asked for more than before have to say it."""
    return without_places(to_builtins(plan.step_list(phase).outputs)) if phase != "map" else None


def _alike(old: Sequence[Step], new: Sequence[Step]) -> int:
    first, second = ([without_places(to_builtins(step)) for step in steps] for steps in (old, new))
    return _in_common(first, second)


def _alike_by_text(old: Sequence[Step], new: Sequence[Step]) -> int:
    """Of one and the same text, which only is configured otherwise by now."""
    first, second = ([(step.kind, step.text) for step in steps] for steps in (old, new))
    return _in_common(first, second)


def _in_common(old: Sequence[Any], new: Sequence[Any]) -> int:
    """How many things at the beginning are equal."""
    pairs = enumerate(zip(old, new, strict=False))
    return next((number for number, (one, other) in pairs if one != other), min(len(old), len(new)))
