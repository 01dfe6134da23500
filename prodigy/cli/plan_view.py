"""A workflow as the steps that it plans, for people and for scripts.

Pure. Durations are milliseconds; a value that is known only later stands as the text that it is written as.
"""

from collections.abc import Iterator
from typing import Any

import msgspec

from prodigy.cli.foresight import Foresight
from prodigy.workflow.model import (
    Aggregate,
    Capture,
    Check,
    Claude,
    Deferred,
    Foreach,
    GoalSeek,
    Handler,
    Limits,
    MapPhase,
    Retry,
    RetryOn,
    Step,
    StepList,
    SubWorkflow,
    Workflow,
)

Milliseconds = int | str | None
Number = float | str | None


class PlannedRetry(msgspec.Struct, frozen=True, kw_only=True):
    """How often something is run at most, and how long it waits in between."""

    attempts: Number
    backoff: str
    initial_delay_ms: Milliseconds
    max_delay_ms: Milliseconds
    retry_on: tuple[str, ...]
    budget_ms: Milliseconds
    then: str
    """``stop``, ``continue`` or ``fallback``."""
    fallback: tuple["PlannedStep", ...] = ()


class PlannedHandler(msgspec.Struct, frozen=True, kw_only=True):
    """What is done about a failure."""

    steps: tuple["PlannedStep", ...]
    max_attempts: Number
    fail_workflow: bool
    retry_original: bool
    strategy: str
    timeout_ms: Milliseconds


class PlannedCheck(msgspec.Struct, frozen=True, kw_only=True):
    """How complete the work must be, and what is done if it is not."""

    steps: tuple["PlannedStep", ...]
    threshold: Number
    on_incomplete: tuple["PlannedStep", ...] = ()
    max_attempts: Number = None
    fail_workflow: bool = True


class PlannedCodes(msgspec.Struct, frozen=True, kw_only=True):
    """Steps for some exit codes, as they are written: ``2``, ``1-9``, ``!0``."""

    codes: str
    steps: tuple["PlannedStep", ...]


class PlannedStep(msgspec.Struct, frozen=True, kw_only=True):
    """One step, with the steps inside it and after it; ``command`` has in it what is known already."""

    kind: str
    name: str
    command: str
    id: str | None
    when: str | None
    timeout_ms: Milliseconds
    retry: PlannedRetry | None
    limits: dict[str, Any]
    working_dir: str | None
    environment: tuple[str, ...]
    captures: tuple[str, ...]
    commit_required: bool
    auto_commit: bool
    detach: str | None
    options: dict[str, Any]
    """What speaks of the action alone, such as ``parallel`` of ``foreach``; of Claude, its options."""
    steps: tuple["PlannedStep", ...] = ()
    check: PlannedCheck | None = None
    on_failure: PlannedHandler | None = None
    on_success: tuple["PlannedStep", ...] = ()
    on_exit_code: tuple[PlannedCodes, ...] = ()


class PlannedPhase(msgspec.Struct, frozen=True, kw_only=True):
    """One phase and its steps; for ``map`` the agent template and the rules of the phase."""

    phase: str
    steps: tuple[PlannedStep, ...]
    timeout_ms: Milliseconds = None
    rules: dict[str, Any] = {}


def planned_phases(workflow: Workflow, known: Foresight) -> Iterator[PlannedPhase]:
    """The phases in the order in which they may run."""
    later = known.after(workflow.setup)
    if workflow.worktree.setup:
        yield PlannedPhase(phase="worktree", steps=_steps(workflow.worktree.setup, known))
    if workflow.setup is not None:
        yield _phase("setup", workflow.setup, known)
    if workflow.map is not None:
        yield _map(workflow.map, later)
    for name, steps in (("steps", workflow.steps), ("reduce", workflow.reduce)):
        if steps is not None:
            yield _phase(name, steps, later)
    for name, ending in (("on_success", workflow.on_success), ("on_failure", workflow.on_failure)):
        if ending:
            yield PlannedPhase(phase=name, steps=_steps(ending, later))
    if workflow.merge is not None:
        yield _phase("merge", workflow.merge, later)
    if workflow.verify:
        yield PlannedPhase(phase="verify", steps=_steps(workflow.verify, later))


def _phase(name: str, body: StepList, known: Foresight) -> PlannedPhase:
    return PlannedPhase(
        phase=name,
        steps=_steps(body.steps, known),
        timeout_ms=milliseconds(body.timeout, known),
        rules=_given({"outputs": [output.name for output in body.outputs], "target": body.target}),
    )


def _map(phase: MapPhase, known: Foresight) -> PlannedPhase:
    policy, breaker = phase.policy, phase.policy.circuit_breaker
    return PlannedPhase(
        phase="map",
        steps=_steps(phase.agent_template, known),
        rules=_given({
            "input": known.fill(phase.input.text) or None,
            "json_path": phase.json_path,
            "filter": phase.filter and phase.filter.source,
            "sort_by": phase.sort_by,
            "distinct": phase.distinct,
            "offset": known.deferred(phase.offset) or None,
            "max_items": known.deferred(phase.max_items),
            "max_parallel": known.deferred(phase.max_parallel),
            "item_id": phase.item_id,
            "agent_timeout_ms": milliseconds(phase.agent_timeout, known)
            or milliseconds(phase.timeouts.agent_timeout, known),
            "on_item_failure": policy.on_item_failure,
            "retry": policy.retry and msgspec.to_builtins(_retry(policy.retry, known)),
            "continue_on_failure": policy.continue_on_failure,
            "max_failures": policy.max_failures,
            "failure_threshold": policy.failure_threshold,
            "circuit_breaker": breaker and breaker.failure_threshold,
            "on_conflict": phase.on_conflict,
            "base": phase.base,
            "limits": _limits(phase.limits, known),
            "validation": phase.validation and phase.validation.on_failure,
            "variables": {rule.name: _aggregate(rule) for rule in phase.variables},
        }),
    )  # fmt: skip


def _aggregate(rule: Aggregate) -> str:
    """What a variable is made of, in a few words."""
    parts = [("of", rule.value), ("by", rule.by), ("where", rule.where)]
    return " ".join([rule.type, *(f"{word} {text.source}" for word, text in parts if text is not None)])


# -- steps -------------------------------------------------------------------------------------------------------------
def _steps(steps: tuple[Step, ...], known: Foresight) -> tuple[PlannedStep, ...]:
    return tuple(_step(step, known.inside(step)) for step in steps)


def _step(step: Step, known: Foresight) -> PlannedStep:
    action = step.action
    check = action if isinstance(action, Check) else action.check if isinstance(action, GoalSeek) else None
    return PlannedStep(
        kind=step.kind,
        name=known.fill(step.label),
        command=known.fill(step.text),
        id=step.id,
        when=step.when.source if step.when is not None else None,
        timeout_ms=milliseconds(step.timeout, known),
        retry=None if step.retry is None else _retry(step.retry, known),
        limits=_limits(step.limits, known),
        working_dir=None if step.working_dir is None else known.fill(step.working_dir.source),
        environment=_names_of_environment(step),
        captures=tuple(_captured(capture) for capture in step.captures),
        commit_required=step.commit_required,
        auto_commit=step.auto_commit,
        detach=step.detach,
        options=_options(step, known),
        steps=_inside(step, known),
        check=_check(check or step.validate, known),
        on_failure=None if step.on_failure is None else _handler(step.on_failure, known),
        on_success=_steps(step.on_success, known),
        on_exit_code=tuple(
            PlannedCodes(codes=_codes(codes.ranges, negated=codes.negated), steps=_steps(codes.steps, known))
            for codes in step.on_exit_code
        ),
    )


def _inside(step: Step, known: Foresight) -> tuple[PlannedStep, ...]:
    match step.action:
        case Foreach() | GoalSeek() | SubWorkflow():
            return _steps(step.action.steps, known)
        case _:
            return ()


def _options(step: Step, known: Foresight) -> dict[str, Any]:
    match step.action:
        case Claude():
            return {name: known.deferred(value) for name, value in _claude(step).items()}
        case Foreach() as loop:
            return _given({
                "parallel": known.deferred(loop.parallel),
                "filter": loop.filter and loop.filter.source,
                "sort_by": loop.sort_by,
                "max_items": known.deferred(loop.max_items),
            })  # fmt: skip
        case GoalSeek() as search:
            return {
                "threshold": known.deferred(search.threshold),
                "max_attempts": known.deferred(search.max_attempts),
            }
        case SubWorkflow() as other:
            return _given({"parameters": other.parameters, "outputs": other.outputs})
        case _:
            return {}


def _claude(step: Step) -> dict[str, Any]:
    """The options of Claude that are given, as plain data."""
    given = ((name, getattr(step.claude, name)) for name in step.claude.__struct_fields__)
    return {
        name: value if isinstance(value, Deferred) else msgspec.to_builtins(value)
        for name, value in given
        if value is not None
    }


def _names_of_environment(step: Step) -> tuple[str, ...]:
    layer = step.environment
    return () if layer is None else tuple(variable.name for variable in (*layer.variables, *layer.secrets))


def _captured(capture: Capture) -> str:
    return capture.name if capture.source == "stdout" else f"{capture.name} ({capture.source})"


# -- what happens around a step ----------------------------------------------------------------------------------------
def _retry(retry: Retry, known: Foresight) -> PlannedRetry:
    return PlannedRetry(
        attempts=known.deferred(retry.attempts),
        backoff=retry.backoff.kind,
        initial_delay_ms=milliseconds(retry.backoff.initial, known),
        max_delay_ms=milliseconds(retry.backoff.max_delay, known),
        retry_on=tuple(_failure(kind) for kind in retry.retry_on),
        budget_ms=milliseconds(retry.budget, known),
        then=retry.on_failure,
        fallback=_steps(retry.fallback, known),
    )


def _failure(kind: RetryOn) -> str:
    if kind.pattern is not None:
        return f"/{kind.pattern}/"
    return f"exit {'/'.join(map(str, kind.exit_codes))}" if kind.exit_codes else kind.kind


def _handler(handler: Handler, known: Foresight) -> PlannedHandler:
    return PlannedHandler(
        steps=_steps(handler.steps, known),
        max_attempts=known.deferred(handler.max_attempts),
        fail_workflow=handler.fail_workflow,
        retry_original=handler.retry_original,
        strategy=handler.strategy,
        timeout_ms=milliseconds(handler.timeout, known),
    )


def _check(check: Check | None, known: Foresight) -> PlannedCheck | None:
    if check is None:
        return None
    incomplete = check.on_incomplete
    return PlannedCheck(
        steps=_steps(check.steps, known),
        threshold=known.deferred(check.threshold),
        on_incomplete=() if incomplete is None else _steps(incomplete.steps, known),
        max_attempts=None if incomplete is None else known.deferred(incomplete.max_attempts),
        fail_workflow=check.fail_workflow,
    )


def _codes(ranges: tuple[tuple[int, int], ...], *, negated: bool) -> str:
    written = ",".join(str(first) if first == last else f"{first}-{last}" for first, last in ranges)
    return f"!{written}" if negated else written


# -- values ------------------------------------------------------------------------------------------------------------
def milliseconds(value: float | Deferred | None, known: Foresight) -> Milliseconds:
    """A duration in whole milliseconds, as its text if it is not known yet, ``None`` for no limit."""
    if isinstance(value, Deferred):
        return known.fill(value.source)
    return None if value is None else round(value * 1000)


def _limits(limits: Limits | None, known: Foresight) -> dict[str, Any]:
    if limits is None:
        return {}
    return _given({
        "memory": known.deferred(limits.memory),
        "cpu_time_ms": milliseconds(limits.cpu_time, known),
        "wall_ms": milliseconds(limits.wall, known),
        "processes": known.deferred(limits.processes),
        "output": known.deferred(limits.output),
        "open_files": known.deferred(limits.open_files),
    })  # fmt: skip


def _given(values: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in values.items() if value not in (None, "", (), [], {})}
