"""The plan of a dry run in lines for people.

Pure.
"""

from collections.abc import Iterator
from typing import Any

from prodigy.cli.plan_view import (
    Milliseconds,
    PlannedCheck,
    PlannedHandler,
    PlannedPhase,
    PlannedRetry,
    PlannedStep,
)
from prodigy.cli.text import counted, duration

_MORE = " …"
_TITLES = {
    "worktree": "each worktree, when it is made",
    "merge": "merge, if you want it",
    "verify": "verify, before the merge",
    "on_success": "when all has succeeded",
    "on_failure": "when something has failed",
}
_DETACHED = {
    "agent": "until the agent ends", "run": "until the run ends", "forever": "left running"
}  # fmt: skip
_RULES = {
    "json_path": "path {}", "filter": "only if {}", "sort_by": "sorted by {}", "distinct": "distinct {}",
    "offset": "without the first {}", "max_items": "at most {}", "item_id": "called {}", "validation": "validated",
}  # fmt: skip
_POLICY = {
    "max_parallel": "up to {} at a time", "on_item_failure": "failed items: {}", "max_failures": "ends after {} failures",
    "failure_threshold": "ends when more than {} have failed", "circuit_breaker": "pauses after {} failures in a row",
    "on_conflict": "conflicts: {}",
}  # fmt: skip


def phase_lines(phase: PlannedPhase) -> Iterator[str]:
    """One phase: a heading, then its steps."""
    title = _TITLES.get(phase.phase, phase.phase)
    parts = [counted(len(phase.steps), "step") + (" per item" if phase.phase == "map" else "")]
    if phase.phase == "map":
        parts += _rules(phase.rules, _POLICY)
        parts += _limit("each attempt at most", phase.rules.get("agent_timeout_ms"))
    parts += _limit("at most", phase.timeout_ms)
    parts += [f"into `{phase.rules['target']}`"] if "target" in phase.rules else []
    yield f"{title}: {', '.join(parts)}"


def rule_lines(phase: PlannedPhase) -> Iterator[str]:
    """How the items of a map phase are chosen."""
    rules = _rules(phase.rules, _RULES)
    if rules:
        yield f"  {', '.join(rules)}"


def aggregate_lines(phase: PlannedPhase) -> Iterator[str]:
    """What the results of a map phase become."""
    for name, made_of in phase.rules.get("variables", {}).items():
        yield f"  then `{name}` is {made_of}"


def step_lines(steps: tuple[PlannedStep, ...], depth: int = 1) -> Iterator[str]:
    """Steps with everything below them, indented."""
    indent = "  " * depth
    for number, step in enumerate(steps, 1):
        marks = list(_marks(step))
        yield f"{indent}{number}. {step.kind}: {step.name}" + (f" ({', '.join(marks)})" if marks else "")
        command = _one_line(step.command)
        if command.removesuffix(_MORE) not in {step.name, step.kind}:
            yield f"{indent}   {command}"
        yield from step_lines(step.steps, depth + 2)
        yield from _after(step, depth)


def _after(step: PlannedStep, depth: int) -> Iterator[str]:
    """What may follow a step."""
    indent = "  " * depth + "   "
    if step.check is not None:
        scored = "scored by:" if step.kind == "goal_seek" else None
        yield indent + (scored or f"must be {_plain(step.check.threshold)} % complete by:")
        yield from _check_lines(step.check, indent, depth)
    if step.retry is not None and step.retry.fallback:
        yield f"{indent}instead, if it stays failed:"
        yield from step_lines(step.retry.fallback, depth + 2)
    for codes in step.on_exit_code:
        yield f"{indent}on exit code {codes.codes}:"
        yield from step_lines(codes.steps, depth + 2)
    if step.on_failure is not None:
        yield f"{indent}on failure{_rounds(step.on_failure)}"
        yield from step_lines(step.on_failure.steps, depth + 2)
    if step.on_success:
        yield f"{indent}on success:"
        yield from step_lines(step.on_success, depth + 2)


def _check_lines(check: PlannedCheck, indent: str, depth: int) -> Iterator[str]:
    yield from step_lines(check.steps, depth + 2)
    if check.on_incomplete:
        yield f"{indent}if not, up to {counted_or_text(check.max_attempts, 'time')}:"
        yield from step_lines(check.on_incomplete, depth + 2)


def _rounds(handler: PlannedHandler) -> str:
    if not handler.steps and not handler.max_attempts:
        return " it goes on"
    parts = [handler.strategy] if handler.strategy != "recovery" else []
    if handler.max_attempts != 1:
        parts.append(f"up to {counted_or_text(handler.max_attempts, 'round')}")
    parts += [] if handler.fail_workflow else ["then it goes on"]
    if not handler.steps:
        parts.insert(0, "run again")
        return f" {', '.join(parts)}"
    return f" ({', '.join(parts)}):" if parts else ":"


def _marks(step: PlannedStep) -> Iterator[str]:
    """What is special about a step, in short."""
    if step.when is not None:
        yield f"if {step.when}"
    yield from _limit("timeout", step.timeout_ms)
    if step.retry is not None:
        yield _retry(step.retry)
    yield from (f"{name} {_plain(value)}" for name, value in step.options.items())
    yield from (
        f"{name.removesuffix('_ms')} limit {_bound(name, value)}" for name, value in step.limits.items()
    )
    if step.working_dir is not None:
        yield f"in {step.working_dir}"
    if step.environment:
        yield f"sets {', '.join(step.environment)}"
    if step.captures:
        yield f"captures {', '.join(step.captures)}"
    if step.commit_required:
        yield "must commit"
    if step.detach is not None:
        yield _DETACHED[step.detach]


def _retry(retry: PlannedRetry) -> str:
    told = f"up to {counted_or_text(retry.attempts, 'run')}, {retry.backoff} delays"
    if retry.retry_on:
        told += f" for {', '.join(retry.retry_on)}"
    return told + (", then it goes on" if retry.then == "continue" else "")


def counted_or_text(value: float | str | None, noun: str) -> str:
    """``3 runs``, or the text of a number that is not known yet."""
    return counted(int(value), noun) if isinstance(value, int | float) else f"{value} {noun}s"


def budget_line(budget: dict[str, Any]) -> str:
    """What the run may spend."""
    return "budget: " + ", ".join(
        f"{name.removesuffix('_ms')} {_bound(name, value)}" for name, value in budget.items()
    )


def _rules(rules: dict[str, Any], words: dict[str, str]) -> list[str]:
    return [text.format(_plain(rules[name])) for name, text in words.items() if name in rules]


def _limit(words: str, value: Milliseconds) -> list[str]:
    return [] if value is None else [f"{words} {_bound('_ms', value)}"]


def _bound(name: str, value: Any) -> str:
    if not isinstance(value, int | float):
        return str(value)
    return duration(value / 1000) if name.endswith("_ms") else f"{value:,}"


def _plain(value: Any) -> str:
    if isinstance(value, list | tuple):
        return " ".join(map(str, value))
    return f"{value:g}" if isinstance(value, float) else _one_line(str(value))


def _one_line(text: str) -> str:
    first, *rest = [line.strip() for line in text.splitlines() if line.strip()] or [""]
    return f"{first}{_MORE}" if rest else first
