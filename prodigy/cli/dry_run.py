"""What ``run --dry-run`` shows: the plan, with the items where they are known already.

Nothing is written and nothing is started; the only thing read is what the commit holds that a run would start from.
"""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import msgspec

from prodigy.actors.launch import Ground, Source
from prodigy.actors.selection import choose, left_out
from prodigy.cli.foresight import Foresight, foresee
from prodigy.cli.plan_lines import aggregate_lines, budget_line, phase_lines, rule_lines, step_lines
from prodigy.cli.plan_view import PlannedPhase, milliseconds, planned_phases
from prodigy.cli.text import counted
from prodigy.job.items import item_text
from prodigy.workflow.layers import active_profile
from prodigy.workflow.model import MapPhase, Workflow
from prodigy.workflow.problems import Problem
from prodigy.workflow.select import Selection, input_kind
from prodigy.workflow.values import TemplateError

PREVIEW = 3
"""Items shown."""
_UNKNOWN = "(known when it runs)"


class Asked(msgspec.Struct, frozen=True, kw_only=True):
    """What the command line says of a run: the profile, the values and how often each is worked on."""

    profile: str | None = None
    arguments: tuple[str, ...] = ()
    iterations: int = 1


class PlannedItems(msgspec.Struct, frozen=True, kw_only=True):
    """The work items, as far as they are known before setup has run; ``left_out`` counts by rule."""

    count: int | None
    preview: tuple[Any, ...] = ()
    source: str = ""
    note: str | None = None
    left_out: dict[str, int] = {}


class Forecast(msgspec.Struct, frozen=True, kw_only=True, tag_field="schema", tag="prodigy.plan/1"):
    """``prodigy.plan/1``."""

    workflow: str
    base_commit: str
    target_branch: str | None
    profile: str | None
    parameters: dict[str, Any]
    arguments: tuple[str, ...]
    iterations: int
    phases: tuple[PlannedPhase, ...]
    items: PlannedItems | None
    limits: dict[str, Any]
    budget: dict[str, Any]
    forecast: None = None
    problems: tuple[str, ...] = ()


async def forecast(
    source: Source,
    ground: Ground,
    asked: Asked,
    problems: Sequence[Problem] = (),
) -> Forecast:
    """The plan of a workflow on the commit that HEAD names.

    Args:
        source: the workflow.
        ground: the repository.
        asked: what the command line says.
        problems: warnings and notes about the workflow.

    Raises:
        WorkflowError: ``profile-unknown``.
        BadInput: the items cannot be read.
    """
    workflow = source.workflow
    profile = active_profile(workflow, asked.profile)
    known = foresee(workflow, ground.target.branch, profile, asked.arguments)
    return Forecast(
        workflow=workflow.name,
        base_commit=ground.repository.head,
        target_branch=workflow.merge.target
        if workflow.merge and workflow.merge.target
        else ground.target.branch,
        profile=profile,
        parameters=dict(workflow.parameters),
        arguments=asked.arguments,
        iterations=asked.iterations,
        phases=tuple(planned_phases(workflow, known)),
        items=await _items(workflow, workflow.map, ground, known) if workflow.map is not None else None,
        limits=_limits(workflow, known),
        budget=_budget(workflow, known),
        problems=tuple(map(str, problems)),
    )


def _limits(workflow: Workflow, known: Foresight) -> dict[str, Any]:
    limits: dict[str, Any] = {
        "timeout_ms": milliseconds(workflow.timeout, known),
        "grace_ms": milliseconds(workflow.grace, known),
    }
    if workflow.map is not None:
        limits["max_parallel"] = known.deferred(workflow.map.max_parallel)
        limits["max_items"] = known.deferred(workflow.map.max_items)
    return limits


def _budget(workflow: Workflow, known: Foresight) -> dict[str, Any]:
    budget = workflow.budget
    if budget is None:
        return {}
    given = {
        "usd": known.deferred(budget.usd),
        "tokens": known.deferred(budget.tokens),
        "wall_ms": milliseconds(budget.wall, known),
        "launches": known.deferred(budget.launches),
        "soft": budget.soft,
    }
    return {name: value for name, value in given.items() if value is not None}


# -- items -------------------------------------------------------------------------------------------------------------
async def _items(workflow: Workflow, phase: MapPhase, ground: Ground, known: Foresight) -> PlannedItems:
    known = known.after(workflow.setup)
    text = known.fill(phase.input.text)
    if not known.is_known(phase.input.text):
        return PlannedItems(count=None, source=text, note="known after setup")
    content = await _content(phase, text, ground)
    if isinstance(content, PlannedItems):
        return content
    scope = _for_items(known)
    try:
        chosen = choose(phase, *content, scope)
    except TemplateError as error:
        if not known.later:
            raise
        return PlannedItems(count=None, source=text or "list", note=f"known after setup: {error.message}")
    note = "as it is committed; setup may change it" if content[0] and workflow.setup else None
    return _shown(chosen, text or "list", note)


def _shown(chosen: Selection, source: str, note: str | None) -> PlannedItems:
    return PlannedItems(
        count=len(chosen.items),
        preview=tuple(chosen.items[:PREVIEW]),
        source=source,
        note=note,
        left_out=left_out(chosen),
    )


def _for_items(known: Foresight) -> Foresight:
    """What rules and an ``item_id`` can read, with words in place of what only a run has."""
    unknown = dict.fromkeys(("job_id", "session_id", "PROJECT_ROOT", "WORKTREE"), _UNKNOWN)
    workflow = {**known.values["workflow"], "id": _UNKNOWN, "session_id": _UNKNOWN, "iteration": 1}
    return msgspec.structs.replace(
        known, values={**unknown, "ITERATION": 1, **known.values, "workflow": workflow}
    )


async def _content(phase: MapPhase, text: str, ground: Ground) -> tuple[bytes | None, str] | PlannedItems:
    source = phase.input.source
    if source == "list":
        return None, ""
    outside = Path(text).expanduser()
    if source != "command" and outside.is_absolute() and outside.is_file():
        return outside.read_bytes(), outside.name
    if source != "command":
        shown = await ground.git.run("cat-file", "blob", f"HEAD:{text}", ok=None)
        if shown.code == 0:
            return shown.stdout, text
    if source == "command" or input_kind(text, exists=False) == "command":
        return PlannedItems(count=None, source=text, note="known when the input command has run")
    return PlannedItems(
        count=None, source=text, note="not in the last commit: known after setup, if it makes it"
    )


# -- lines -------------------------------------------------------------------------------------------------------------
def forecast_lines(plan: Forecast) -> Iterator[str]:
    """The plan for people."""
    under = f", profile {plan.profile}" if plan.profile else ""
    yield f"{plan.workflow} on {plan.base_commit[:10]}, for {plan.target_branch}{under}"
    for name, value in plan.parameters.items():
        yield f"  {name} = {msgspec.json.encode(value).decode()}"
    yield from _iteration_lines(plan)
    for phase in plan.phases:
        yield from phase_lines(phase)
        if phase.phase == "map" and plan.items is not None:
            yield from _item_lines(plan.items)
            yield from rule_lines(phase)
        yield from step_lines(phase.steps)
        yield from aggregate_lines(phase)
    if plan.budget:
        yield budget_line(plan.budget)
    yield "nothing was started and nothing was written"


def _iteration_lines(plan: Forecast) -> Iterator[str]:
    """How often it all happens."""
    if plan.arguments:
        shown = [*plan.arguments[:PREVIEW], *(["…"] if len(plan.arguments) > PREVIEW else [])]
        yield f"  {counted(len(plan.arguments), 'value')} for $ARG: {', '.join(shown)}"
    if plan.iterations > 1:
        yield f"  up to {plan.iterations} iterations, as long as they make commits"


def _item_lines(items: PlannedItems) -> Iterator[str]:
    if items.count is None:
        yield f"  items from `{items.source}`: {items.note}"
        return
    remark = f", {items.note}" if items.note else ""
    yield f"  {counted(items.count, 'item')} from `{items.source}`{remark}"
    for number, item in enumerate(items.preview):
        yield f"    {item_text(item, f'#{number}')}"
    if items.count > len(items.preview):
        yield f"    … {items.count - len(items.preview)} more"
    if items.left_out:
        yield "    left out: " + ", ".join(f"{number} by {rule}" for rule, number in items.left_out.items())
