"""Before a step runs: whether it is to run, what its texts ask for, its values, its environment."""

from msgspec import structs

from prodigy.errors import WorkflowError
from prodigy.steps.asking import ask
from prodigy.steps.computing import compute
from prodigy.steps.course import Course, Walker
from prodigy.steps.durable import LeafFailed
from prodigy.steps.environment import surroundings
from prodigy.steps.perform import readable, value_failure
from prodigy.workflow.deferred import seconds, settled
from prodigy.workflow.expression import holds, parse_expression
from prodigy.workflow.model import Claude, Step
from prodigy.workflow.texts import asked_by, deciding_texts, uses_of


async def begin(walker: Walker, course: Course) -> bool:
    """Ask what the first try needs to know; whether the step is to run at all."""
    course.try_ = 1
    await _ask(walker, course)
    course.try_ = 0
    if course.trouble is not None or course.step.when is None:
        return True
    try:
        return holds(parse_expression(course.step.when.source), walker.variables)
    except WorkflowError as error:
        course.trouble = value_failure(error)
        return True


async def prepare(walker: Walker, course: Course) -> None:
    """Settle the step and its environment for the next try; what cannot be is its trouble."""
    if course.try_ > 1:
        course.trouble = None
        await _ask(walker, course)
    if course.trouble is not None:
        return
    await compute(walker.stage, walker.variables, uses_of(_own(course)).computed, course.path, course.try_)
    try:
        course.step = settled(course.written, walker.variables)
        found = await surroundings(
            walker.stage, walker.variables, course.step, walker.layers, course.path, course.try_
        )
    except WorkflowError as error:
        course.trouble = value_failure(error)
        return
    except LeafFailed as failed:
        course.trouble = failed.failure
        return
    theirs = walker.stage.for_claude if isinstance(course.step.action, Claude) else {}
    besides = {name: value for name, value in theirs.items() if name not in found.declared}
    course.environment = {**found.values, **besides, **walker.ours, **_changing(course)}
    walker.variables.surrounded(course.environment, found.declared, found.secrets)
    course.command = readable(course.step, walker.variables)


async def _ask(walker: Walker, course: Course) -> None:
    """Ask what the texts need to know; of what has to be worked out only what decides whether the step runs at all."""
    step = _own(course)
    first = asked_by(deciding_texts(step)).computed
    try:
        await ask(walker.stage, walker.variables, uses_of(step), course.path, course.try_)
        await compute(walker.stage, walker.variables, first, course.path, course.try_)
        walker.variables.owned(course.written.locals)
    except WorkflowError as error:
        course.trouble = value_failure(error)


def _own(course: Course) -> Step:
    """The step without what is filled in later: the message of its commit."""
    return structs.replace(course.written, commit=None)


def _changing(course: Course) -> dict[str, str]:
    """What changes from try to try."""
    changing = {"PRODIGY_STEP": course.path}
    if course.try_ > 1:
        changing |= {"SHELL_ATTEMPT": str(course.try_), "TEST_ATTEMPT": str(course.try_)}
    timeout = seconds(course.step.timeout)
    if timeout is not None:
        changing["PRODIGY_COMMAND_TIMEOUT"] = f"{timeout:g}"
    return changing
