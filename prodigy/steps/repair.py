"""Handlers: what is done about a step that failed, and the proof that it helped."""

from typing import Literal

import msgspec
from msgspec import structs

from prodigy.events import Failure, HandlerCompleted, HandlerStarted, StepFailed
from prodigy.steps.commands import LeafPlace
from prodigy.steps.course import Course, Tried, Walker
from prodigy.steps.durable import Done, Leaf, LeafFailed
from prodigy.steps.protocol import Outcome
from prodigy.steps.runner import Runner, StepFailure
from prodigy.workflow.deferred import count, seconds, settled
from prodigy.workflow.model import Handler, Step
from prodigy.workflow.values import TemplateError

Which = Literal["on_failure", "on_success", "on_exit_code"]


async def repaired(walker: Walker, course: Course, tried: Tried) -> Tried:
    """Rounds of handler and proof, until the step succeeds or no round is left.

    Args:
        walker: runs the step.
        course: the step.
        tried: how it failed.
    """
    handler = _settled_handler(walker, course)
    if handler is None:
        return tried
    rounds = count(handler.max_attempts)
    if handler.strategy == "cleanup":
        rounds = min(rounds, 1)
    output: str | None = None
    for round_ in range(1, rounds + 1):
        assert tried.failure is not None
        inner = walker.nested({"PRODIGY_ERROR_FILE": _error_file(walker, course, tried.failure)})
        inner.variables.failing(course.step, tried.outcome, tried.failure, course.index)
        inner.variables.in_handler(round_, rounds, output)
        failure = await _round(inner, course, handler, round_)
        output = inner.last.stdout.tail.rstrip("\n") if inner.last is not None else ""
        walker.variables.handled(output)
        if failure is not None:
            if handler.handler_failure_fatal:
                return structs.replace(tried, failure=failure, fatal=True)
            continue
        tried = await _after(walker, course, handler, tried, inner.last)
        if tried.failure is None:
            break
    return tried


async def _after(
    walker: Walker, course: Course, handler: Handler, tried: Tried, last: Outcome | None
) -> Tried:
    """What a round that succeeded means for the step; ``last`` is the outcome of its last step."""
    match handler.strategy:
        case "cleanup":
            return tried
        case "fallback":
            return Tried(last or tried.outcome, None)
        case _ if handler.steps and not handler.retry_original:
            return structs.replace(tried, failure=None)
        case _:
            return await walker.attempt(course)


async def handled(
    inner: Runner, course: Course, which: Which, round_: int, steps: tuple[Step, ...], suffix: str
) -> Failure | None:
    """Run the steps of a handler, and tell its beginning and its end; why it failed, if it did."""
    at = inner.door.place.at(course.path)
    await inner.door.recorder.note(HandlerStarted(**at, which=which, round=round_))
    failure = None
    try:
        await inner.run(steps, f"{course.path}.{suffix}.")
    except StepFailure as failed:
        failure = failed.failure
    await inner.door.recorder.note(HandlerCompleted(**at, which=which, round=round_, ok=failure is None))
    return failure


async def _round(inner: Runner, course: Course, handler: Handler, round_: int) -> Failure | None:
    """One round within the handler's time; that its time was up is a leaf, so that a resumed run knows it."""
    base = f"on_failure#{round_}"
    limit = seconds(handler.timeout)
    if limit is None:
        return await handled(inner, course, "on_failure", round_, _capturing(handler), base)
    up = f"{course.path}.{base}.timeout"
    if not inner.door.knows(up, 1):
        with inner.door.clock.limited(limit) as time:
            return await handled(inner, course, "on_failure", round_, _capturing(handler), base)
        assert time.cancelled_caught

    async def action(_intent: int) -> Done:
        message = f"The handler's time of {limit:g} s was up"
        raise LeafFailed(Failure(error_class="timeout", message=message, limit=f"{limit:g} s"))

    outcome = await inner.door.durable(up, 1, Leaf(kind="timeout"), action)
    at = inner.door.place.at(course.path)
    await inner.door.recorder.note(HandlerCompleted(**at, which="on_failure", round=round_, ok=False))
    assert isinstance(outcome, StepFailed)
    return outcome.error


def _settled_handler(walker: Walker, course: Course) -> Handler | None:
    """The handler with its values known; one whose values cannot be known handles nothing."""
    try:
        return settled(course.handler, walker.variables)
    except TemplateError:
        return None


def _capturing(handler: Handler) -> tuple[Step, ...]:
    """The handler's steps; its captures are those of the last one."""
    if not (handler.steps and handler.captures):
        return handler.steps
    *before, last = handler.steps
    return (*before, structs.replace(last, captures=(*last.captures, *handler.captures)))


def _error_file(walker: Walker, course: Course, failure: Failure) -> str:
    """A file that tells commands of the handler how the step failed, as JSON."""
    leaf = LeafPlace(path=course.path, try_=course.try_, kind=course.step.kind, intent=0)
    return walker.stage.commands.leave(leaf, ".error.json", msgspec.json.encode(failure))
