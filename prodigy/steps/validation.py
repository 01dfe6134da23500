"""Checks of how complete some work is, and what is done about work that is not.

``{path}.validate#N.…`` are the leaves of the N-th check, ``{path}.on_incomplete#N.…`` those of the N-th repair, after
which the work is checked again. A repair that fails ends its round without a check.
"""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
from msgspec import structs

from prodigy.events import Failure, HandlerCompleted, HandlerStarted, StepFailed, ValidationScored
from prodigy.steps.durable import Done, Leaf, LeafFailed, below
from prodigy.steps.nested import attempted, exit_code_of, for_environment, output_of, stream_of
from prodigy.steps.runner import Runner
from prodigy.steps.verdicts import Verdict, no_result, verdict_of
from prodigy.workflow.deferred import count, seconds, share
from prodigy.workflow.model import Check, Claude, Incomplete, Step, Text

Reading = Callable[[str, int | None, Any], Verdict]
"""Makes a verdict of a text, an exit code and a schema."""

CHECKING = {"PRODIGY_VALIDATION": "true"}
"""What commands that check find in their environment."""
_MOST_NAMED = 5


async def validate(runner: Runner, step: Step, action: Check, path: str, try_: int) -> Done:  # noqa: ARG001 - the form of all actions
    """Check, and repair and check again while the result stays below the threshold.

    Also for the option ``validate`` of a step, with that as ``action``. The outcome's ``value`` are the fields of
    ``${validation.…}``, its output is what the last check was read from.

    Raises:
        LeafFailed: ``validation-failed`` if the result stays below and ``fail_workflow`` holds.
    """
    base = below(path, try_)
    threshold = share(action.threshold)
    verdict = await check_once(runner, action, f"{base}.validate#1")
    await _tell(runner, path, verdict, threshold, 1)
    checks, round_, trouble = 1, 0, None
    repair = action.on_incomplete
    limit = count(repair.max_attempts) if repair is not None and repair.steps else 0
    while repair is not None and verdict.completion < threshold and round_ < limit:
        round_ += 1
        trouble = await _repair(runner, repair, verdict, checks, path, base, round_)
        if trouble is None:
            checks += 1
            verdict = await check_once(runner, action, f"{base}.validate#{checks}")
            await _tell(runner, path, verdict, threshold, checks)
    fields = verdict.variables(checks)
    output = stream_of(verdict.output)
    if verdict.completion >= threshold or not (
        action.fail_workflow and (repair is None or repair.fail_workflow)
    ):
        return Done(stdout=output, value=fields)
    raise LeafFailed(_failure(verdict, threshold, trouble), stdout=output, value=fields)


async def _tell(runner: Runner, path: str, verdict: Verdict, threshold: float, number: int) -> None:
    """Record what a check said; again where a run that goes on walks over it."""
    scored_ = ValidationScored(
        **runner.door.place.at(path),
        score=verdict.completion,
        threshold=threshold,
        check=number,
        status=verdict.status,
        gaps=verdict.gaps,
    )
    await runner.door.recorder.note(scored_)


async def check_once(runner: Runner, check: Check, prefix: str, read: Reading = verdict_of) -> Verdict:
    """Run a check's steps under ``{prefix}.1``, ``{prefix}.2`` … and read the result.

    A result file is read only if the check wrote it.
    """
    inner = runner.inside({}, environment=CHECKING)
    file = None if check.result_file is None else Path(runner.worktree, runner.text(check.result_file))
    before = None if file is None else await _recorded(runner, f"{prefix}.before", lambda: _stamp(file))
    limit = seconds(check.timeout)
    late = f"{prefix}.timeout"
    if runner.door.knows(late, 1):
        return no_result(f"the check took longer than {limit:g} s")
    with runner.door.clock.limited(limit) as time:
        failure = await attempted(inner, check.steps, f"{prefix}.")
    if time.cancelled_caught:
        await _recorded(runner, late, lambda: None)
        return no_result(f"the check took longer than {limit:g} s")
    last = inner.last
    exit_code = exit_code_of(last)
    if failure is not None and not isinstance(last, StepFailed):
        exit_code = None
    text: str | None = output_of(last)
    if file is not None:
        text = await _recorded(runner, f"{prefix}.result", lambda: _fresh(file, before))
    if text is None:
        return no_result(f"the check did not write {runner.text(check.result_file or '')}")
    return read(text, exit_code, check.expected_schema)


def feedback(verdict: Verdict) -> dict[str, str]:
    """What commands that act on a verdict find in their environment."""
    return {
        "PRODIGY_VALIDATION_SCORE": f"{verdict.completion:g}",
        "PRODIGY_VALIDATION_OUTPUT": for_environment(verdict.output),
        "PRODIGY_VALIDATION_GAPS": for_environment(_json(verdict.gaps if verdict.gaps is not None else {})),
    }


async def _repair(
    runner: Runner, repair: Incomplete, verdict: Verdict, checks: int, path: str, base: str, round_: int
) -> Failure | None:
    """One round of ``on_incomplete``; why it failed, if it did."""
    inner = runner.inside({"validation": verdict.variables(checks)}, environment=feedback(verdict))
    at = runner.door.place.at(path)
    await runner.door.recorder.note(HandlerStarted(**at, which="on_incomplete", round=round_))
    head = inner.head
    failure = await attempted(inner, _prompted(repair), f"{base}.on_incomplete#{round_}.")
    if failure is None and repair.commit_required and not await inner.changed_since(head):
        message = "`on_incomplete` had to leave a commit and left none"
        failure = Failure(error_class="commit-missing", message=message)
    ended = HandlerCompleted(**at, which="on_incomplete", round=round_, ok=failure is None)
    await runner.door.recorder.note(ended)
    return failure


def _prompted(repair: Incomplete) -> tuple[Step, ...]:
    """The steps of a repair, with its prompt at the end of what Claude is told."""
    return (
        repair.steps if repair.prompt is None else tuple(_told(step, repair.prompt) for step in repair.steps)
    )


def _told(step: Step, prompt: Text) -> Step:
    if not isinstance(step.action, Claude):
        return step
    longer = Claude(f"{step.action.prompt}\n\n{prompt.source}", step.action.mark)
    return structs.replace(step, action=longer)


def _failure(verdict: Verdict, threshold: float, trouble: Failure | None) -> Failure:
    message = f"Validation reached {verdict.completion:g} % of {threshold:g} %"
    if verdict.missing:
        named = ", ".join(
            part if isinstance(part, str) else _json(part) for part in verdict.missing[:_MOST_NAMED]
        )
        more = len(verdict.missing) - _MOST_NAMED
        message += f"; missing: {named}" + (f" and {more} more" if more > 0 else "")
    if trouble is not None:
        message += f"; the last repair failed: {trouble.message}"
    return Failure(error_class="validation-failed", message=message, stdout_tail=verdict.output[-4096:])


# -- the result file -----------------------------------------------------------------------------------------------
async def _recorded(runner: Runner, path: str, read: Callable[[], str | None]) -> str | None:
    """What ``read`` says, or what it said when it was first asked."""

    async def look(_intent: int) -> Done:
        return Done(value=read())

    outcome = await runner.door.durable(path, 1, Leaf(kind="look"), look)
    value = outcome.value
    return value if isinstance(value, str) else None


def _stamp(file: Path) -> str | None:
    """What changes whenever a file is written; ``None`` if there is none."""
    try:
        state = file.stat()
    except OSError:
        return None
    return f"{state.st_ino}:{state.st_size}:{state.st_mtime_ns}:{state.st_ctime_ns}"


def _fresh(file: Path, before: str | None) -> str | None:
    """The text of a file that was written after ``before``."""
    stamp = _stamp(file)
    if stamp is None or stamp == before:
        return None
    try:
        return file.read_text("utf-8", "replace")
    except OSError:
        return None


def _json(value: Any) -> str:
    return msgspec.json.encode(value).decode()
