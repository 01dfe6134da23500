"""What ``run --dry-run`` shows: the plan, with the items where they are known already.

Nothing is written and nothing is started; the only thing read is what the commit holds that a run would start from.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec

from prodigy.actors.launch import Ground, Source
from prodigy.actors.selection import choose
from prodigy.cli.text import counted
from prodigy.job.items import item_text
from prodigy.steps.variables import Variables
from prodigy.workflow.model import Handler, MapPhase, Step, Workflow
from prodigy.workflow.select import input_kind

PREVIEW = 3
"""Items shown."""


class PlannedStep(msgspec.Struct, frozen=True, kw_only=True):
    """One step as written."""

    kind: str
    name: str
    command: str
    timeout_ms: int | None
    commit_required: bool
    on_failure: tuple["PlannedStep", ...] = ()


class PlannedPhase(msgspec.Struct, frozen=True, kw_only=True):
    """One phase and its steps; for ``map`` the agent template."""

    phase: str
    steps: tuple[PlannedStep, ...]


class PlannedItems(msgspec.Struct, frozen=True, kw_only=True):
    """The work items, as far as they are known before setup has run."""

    count: int | None
    preview: tuple[Any, ...] = ()
    source: str = ""
    note: str | None = None


class Forecast(msgspec.Struct, frozen=True, kw_only=True, tag_field="schema", tag="prodigy.plan/1"):
    """``prodigy.plan/1``."""

    workflow: str
    base_commit: str
    target_branch: str | None
    phases: tuple[PlannedPhase, ...]
    items: PlannedItems | None
    limits: dict[str, Any]
    budget: dict[str, Any]
    forecast: None = None
    problems: tuple[str, ...] = ()


async def forecast(source: Source, ground: Ground) -> Forecast:
    """The plan of a workflow on the commit that HEAD names."""
    workflow = source.workflow
    items = await _items(workflow, ground) if workflow.map is not None else None
    limits: dict[str, Any] = {"timeout": workflow.timeout, "grace": workflow.grace}
    if workflow.map is not None:
        limits |= {"max_parallel": workflow.map.max_parallel, "max_items": workflow.map.max_items}
    return Forecast(
        workflow=workflow.name,
        base_commit=ground.repository.head,
        target_branch=ground.target.branch,
        phases=tuple(_phases(workflow)),
        items=items,
        limits=limits,
        budget={},
    )


def _phases(workflow: Workflow) -> Iterator[PlannedPhase]:
    if workflow.setup is not None:
        yield PlannedPhase(phase="setup", steps=_steps(workflow.setup.steps))
    if workflow.map is not None:
        yield PlannedPhase(phase="map", steps=_steps(workflow.map.agent_template))
    if workflow.steps is not None:
        yield PlannedPhase(phase="steps", steps=_steps(workflow.steps.steps))
    if workflow.reduce is not None:
        yield PlannedPhase(phase="reduce", steps=_steps(workflow.reduce.steps))


def _steps(steps: tuple[Step, ...]) -> tuple[PlannedStep, ...]:
    return tuple(_step(step) for step in steps)


def _step(step: Step) -> PlannedStep:
    handler = step.on_failure or Handler()
    return PlannedStep(
        kind=step.kind,
        name=step.label,
        command=step.action.script,
        timeout_ms=None if step.timeout is None else round(step.timeout * 1000),
        commit_required=step.commit_required,
        on_failure=_steps(handler.steps),
    )


async def _items(workflow: Workflow, ground: Ground) -> PlannedItems:
    phase = workflow.map
    assert phase is not None
    content = await _content(phase, ground)
    if isinstance(content, PlannedItems):
        return content
    chosen = choose(phase, *content, _scope(workflow, ground))
    return PlannedItems(
        count=len(chosen.items), preview=tuple(chosen.items[:PREVIEW]), source=phase.input.text or "list"
    )


def _scope(workflow: Workflow, ground: Ground) -> Variables:
    """What an ``item_id`` can read, with words in place of what only a run has."""
    unknown = "(known when it runs)"
    return Variables(
        {
            "workflow": {"name": workflow.name, "id": unknown, "session_id": unknown, "iteration": 1},
            "branch": ground.target.branch,
            "job_id": unknown,
            "session_id": unknown,
            "PROJECT_ROOT": unknown,
            "WORKTREE": unknown,
            "ITERATION": 1,
        }
    )


async def _content(phase: MapPhase, ground: Ground) -> tuple[bytes | None, str] | PlannedItems:
    source = phase.input
    if source.source == "list":
        return None, ""
    outside = Path(source.text).expanduser()
    if source.source != "command" and outside.is_absolute() and outside.is_file():
        return outside.read_bytes(), outside.name
    if source.source != "command":
        shown = await ground.git.run("cat-file", "blob", f"HEAD:{source.text}", ok=None)
        if shown.code == 0:
            return shown.stdout, source.text
    if source.source == "command" or input_kind(source.text, exists=False) == "command":
        return PlannedItems(count=None, source=source.text, note="known when the input command has run")
    return PlannedItems(
        count=None, source=source.text, note="not in the last commit: known after setup, if it makes it"
    )


def forecast_lines(plan: Forecast) -> Iterator[str]:
    """The plan for people."""
    yield f"{plan.workflow} on {plan.base_commit[:10]}, for {plan.target_branch}"
    for phase in plan.phases:
        extra = f", up to {plan.limits['max_parallel']} at a time" if phase.phase == "map" else ""
        yield f"{phase.phase}: {counted(len(phase.steps), 'step')}{' per item' if phase.phase == 'map' else ''}{extra}"
        if phase.phase == "map" and plan.items is not None:
            yield from _item_lines(plan.items)
        yield from _step_lines(phase.steps, 1)
    yield "nothing was started and nothing was written"


def _item_lines(items: PlannedItems) -> Iterator[str]:
    if items.count is None:
        yield f"  items from `{items.source}`: {items.note}"
        return
    yield f"  {counted(items.count, 'item')} from `{items.source}`"
    for number, item in enumerate(items.preview):
        yield f"    {item_text(item, f'#{number}')}"
    if items.count > len(items.preview):
        yield f"    … {items.count - len(items.preview)} more"


def _step_lines(steps: tuple[PlannedStep, ...], depth: int) -> Iterator[str]:
    indent = "  " * depth
    for number, step in enumerate(steps, 1):
        marks = [f"timeout {step.timeout_ms / 1000:g} s"] if step.timeout_ms else []
        marks += ["must commit"] if step.commit_required else []
        yield f"{indent}{number}. {step.kind}: {step.name}" + (f" ({', '.join(marks)})" if marks else "")
        if step.on_failure:
            yield f"{indent}   on failure:"
            yield from _step_lines(step.on_failure, depth + 2)
