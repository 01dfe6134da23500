"""Acting out one try of a step: its action, and what is taken from what it left."""

import os
from collections.abc import Awaitable, Callable

import trio
from msgspec import structs

from prodigy.errors import WorkflowError
from prodigy.events import Failure, StepFailed
from prodigy.steps import captures, worktree_files
from prodigy.steps.captures import CaptureError, Facts
from prodigy.steps.commands import LeafPlace, Order
from prodigy.steps.course import Course, Walker
from prodigy.steps.durable import Done, Leaf, LeafFailed
from prodigy.steps.output import cut
from prodigy.steps.patience import Listener
from prodigy.steps.runner import Ended, Program
from prodigy.steps.variables import Variables
from prodigy.steps.worktree_files import OutsideWorktree
from prodigy.workflow.deferred import seconds
from prodigy.workflow.model import (
    Analyze,
    Check,
    Claude,
    Foreach,
    GoalSeek,
    Shell,
    Step,
    SubWorkflow,
    Test,
    WriteFile,
)
from prodigy.workflow.refs import Piece, Ref, compile_text
from prodigy.workflow.shell_quote import render_shell
from prodigy.workflow.template import render_text
from prodigy.workflow.values import TemplateError

READABLE = 4000
"""Characters of a command as the journal and the screen show it."""


async def perform(walker: Walker, course: Course, intent: int) -> Done:
    """Run the action of a step and take what it left: commit, changes, captures, files.

    Raises:
        LeafFailed: the action failed, or something that the step promises is not there.
    """
    began = trio.current_time()
    failed: LeafFailed | None = None
    try:
        done = await _in_time(walker, course.step, lambda: _act(walker, course, intent))
    except LeafFailed as failure:
        failed, done = failure, failure.done
    seen = await walker.stage.worktree.snapshot()
    done = structs.replace(done, head_after=seen.head or done.head_after, dirty=bool(seen.dirty))
    code = done.exit_code if failed is None else failed.failure.exit_code
    facts = Facts(code, failed is None, round(trio.current_time() - began, 3))
    try:
        done = structs.replace(done, captures=captures.take(course.step.captures, done, facts))
        if course.step.output_file is not None:
            _write_output(walker, course.step, done)
            seen = await walker.stage.worktree.snapshot()  # the file is of the step, too
            done = structs.replace(done, dirty=bool(seen.dirty))
        if failed is None:
            done = structs.replace(done, outputs=await _outputs(walker, course, done, seen.dirty))
    except CaptureError as error:
        if failed is None:
            failed = LeafFailed(Failure(error_class="capture-failed", message=str(error)))
    except LeafFailed as error:
        failed = failed or error
    await _expect_output(walker, course)
    if failed is not None:
        raise failed.leaving(done)
    return done


async def _act(walker: Walker, course: Course, intent: int) -> Done:
    match course.step.action:
        case Shell() | Test() as action:
            return await _shell(walker, course, action.script, intent)
        case Analyze():
            return Done()
        case action:
            return await _compound(walker, course.step, action, course.path, course.try_)


async def _compound(
    walker: Walker,
    step: Step,
    action: Claude | Foreach | GoalSeek | Check | WriteFile | SubWorkflow,
    path: str,
    try_: int,
) -> Done:
    """Actions of modules of their own, imported when they are first needed: a worker starts sooner without them."""
    match action:
        case Claude():
            from prodigy.steps.claude import claude

            return await claude(walker, step, action, path, try_, walker.stage.backend())
        case Foreach():
            from prodigy.steps.foreach import foreach

            return await foreach(walker, step, action, path, try_)
        case GoalSeek():
            from prodigy.steps.goal_seek import goal_seek

            return await goal_seek(walker, step, action, path, try_)
        case Check():
            from prodigy.steps.validation import validate

            return await validate(walker, step, action, path, try_)
        case WriteFile():
            from prodigy.steps.write_file import write_file

            return await write_file(walker, step, action, path, try_)
        case SubWorkflow():
            from prodigy.steps.subworkflow import workflow

            return await workflow(walker, step, action, path, try_)


async def _in_time(walker: Walker, step: Step, act: Callable[[], Awaitable[Done]]) -> Done:
    """Act within the step's time; commands keep their time themselves, to end politely."""
    limit = seconds(step.timeout)
    if limit is None or isinstance(step.action, Shell | Test | Claude):
        return await act()
    with walker.door.clock.limited(limit):
        return await act()
    failure = Failure(error_class="timeout", message=f"Timed out after {limit:g} s", limit=f"{limit:g} s")
    raise LeafFailed(failure)


# -- commands ----------------------------------------------------------------------------------------------------------
async def _shell(walker: Walker, course: Course, script: str, intent: int) -> Done:
    step = course.step
    leaf = LeafPlace(path=course.path, try_=course.try_, kind="shell", intent=intent)
    if step.interpolate:
        try:
            script = render_shell(script, walker.variables)
        except TemplateError as error:
            raise LeafFailed(value_failure(error)) from None
    order = _order(walker, step, (step.shell_program, "-c", script), course.environment)
    if step.detach is not None:
        await walker.stage.commands.detach(order, leaf, step.detach)
        return Done()
    keep = walker.stage.max_capture if captures.reads_text(step) else 0
    one_pipe = captures.in_one(step, walker.stage.read_apart)
    ran = await walker.stage.commands.run(structs.replace(order, keep=keep, one_pipe=one_pipe), leaf)
    if ran.failure is not None:
        raise LeafFailed(ran.failure, stdout=ran.stdout, stderr=ran.stderr, texts=ran.texts)
    return Done(stdout=ran.stdout, stderr=ran.stderr, texts=ran.texts)


async def run_script(walker: Walker, script: str, path: str, timeout: float | None) -> Done:
    """Run a script, with the environment and the folder of the step that runs, as a leaf of its own.

    Raises:
        LeafFailed: it failed.
    """
    step, environment = walker.current.step, walker.current.environment
    done: Done | None = None

    async def action(intent: int) -> Done:
        nonlocal done
        order = _order(walker, step, (step.shell_program, "-c", script), environment)
        order = structs.replace(order, timeout=timeout, keep=walker.stage.max_capture)
        leaf = LeafPlace(path=path, try_=1, kind="shell", intent=intent)
        ran = await walker.stage.commands.run(order, leaf)
        if ran.failure is not None:
            raise LeafFailed(ran.failure, stdout=ran.stdout, stderr=ran.stderr)
        value = None if ran.texts is None or ran.texts.cut else ran.texts.stdout
        done = Done(stdout=ran.stdout, stderr=ran.stderr, texts=ran.texts, value=value)
        return done

    outcome = await walker.door.durable(path, 1, Leaf(kind="shell", command=_short(script)), action)
    if isinstance(outcome, StepFailed):
        raise LeafFailed(outcome.error, stdout=outcome.stdout, stderr=outcome.stderr)
    return done or Done(stdout=outcome.stdout, stderr=outcome.stderr, value=outcome.value)


async def run_program(
    walker: Walker, program: Program, step: Step, path: str, try_: int, listen: Listener | None
) -> Ended:
    """See ``runner.Runner.launch``."""
    order = structs.replace(
        _order(walker, step, program.argv, program.env),
        stdin=program.stdin,
        idle=seconds(step.idle_timeout),
        listen=listen,
        claude_session=program.claude_session,
        excerpt=program.excerpt,
    )
    leaf = LeafPlace(path=path, try_=try_, kind=step.kind, intent=walker.door.intent(path, try_))
    ran = await walker.stage.commands.run(order, leaf)
    return Ended(failure=ran.failure, exit_code=ran.exit_code, stdout=ran.stdout, stderr=ran.stderr)


def _order(walker: Walker, step: Step, argv: tuple[str, ...], environment: object) -> Order:
    folder = _folder(walker, step)
    assert isinstance(environment, dict)
    return Order(
        argv=argv,
        cwd=folder,
        env={**environment, "PWD": folder},
        timeout=seconds(step.timeout),
        grace=step.grace,
        limits=step.limits,
    )


def _folder(walker: Walker, step: Step) -> str:
    """Where a step's commands run."""
    if step.working_dir is None:
        return walker.worktree
    name = walker.text(step.working_dir)
    folder = os.path.normpath(os.path.join(walker.worktree, os.path.expanduser(name)))  # noqa: PTH111, PTH118 - text
    if not os.path.isdir(folder):  # noqa: PTH112 - text
        raise LeafFailed(Failure(error_class="bad-value", message=f"`working_dir` {name} does not exist"))
    return folder


# -- what is left ------------------------------------------------------------------------------------------------------
def _write_output(walker: Walker, step: Step, done: Done) -> None:
    assert step.output_file is not None
    path = walker.text(step.output_file)
    text = captures.whole(done).stdout
    try:
        worktree_files.write(walker.worktree, path, text.encode("utf-8", "replace"))
    except (OutsideWorktree, OSError) as error:
        message = f"`output_file` could not be written: {error}"
        raise LeafFailed(Failure(error_class="bad-value", message=message)) from None


async def _outputs(walker: Walker, course: Course, done: Done, dirty: tuple[str, ...]) -> dict[str, str]:
    """The newest file that the step added or changed, for each of its ``outputs``."""
    if not course.step.outputs:
        return {}
    head = done.head_after or course.before
    changed = {*await walker.stage.worktree.files(course.before, head), *dirty}
    found: dict[str, str] = {}
    for output in course.step.outputs:
        path = worktree_files.newest(walker.worktree, changed, output.pattern)
        if path is None:
            raise CaptureError(f"the step left no file that matches {output.pattern}")
        found[output.name] = path
    return found


async def _expect_output(walker: Walker, course: Course) -> None:
    if course.step.expected_output is None:
        return
    try:
        path = walker.text(course.step.expected_output)
    except LeafFailed as failed:
        await walker.warn(course, "expected-output", failed.failure.message)
        return
    if not os.path.exists(os.path.join(walker.worktree, path)):  # noqa: PTH110, PTH118 - text
        await walker.warn(course, "expected-output", f"the step did not leave {path}")


# -- words -------------------------------------------------------------------------------------------------------------
def value_failure(error: WorkflowError) -> Failure:
    """The failure of a step whose texts or values cannot be made."""
    undefined = error.code == "undefined-variable"
    hint = f" ({error.hint})" if error.hint else ""
    return Failure(
        error_class="undefined-variable" if undefined else "bad-value", message=f"{error.message}{hint}"
    )


def readable(step: Step, variables: Variables) -> str:
    """The step's text with values in place, for people, 4,000 characters at most."""
    if not step.interpolate:
        return _short(step.text)
    if not isinstance(step.action, Shell | Test):
        return _short(_filled(step.text, variables))
    pieces = compile_text(step.text).pieces
    return _short("".join(_seen(piece, variables) for piece in pieces))


def _seen(piece: Piece, variables: Variables) -> str:
    """A piece of a script; what the shell itself fills in stays as it is written."""
    if isinstance(piece, str):
        return piece
    shells = isinstance(piece, Ref) and not variables.knows(piece.root)
    return piece.source if shells else _filled(piece.source, variables)


def _filled(text: str, variables: Variables) -> str:
    try:
        return render_text(text, variables)
    except TemplateError:
        return text


def _short(text: str) -> str:
    return cut(text, READABLE)
