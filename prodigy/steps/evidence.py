"""What a step left in the worktree: the commit of it, and whether it is what the workflow demands."""

from msgspec import structs

from prodigy.events import CommitCreated, Failure, StepCompleted, StepFailed
from prodigy.git.evidence import CommitWish
from prodigy.steps.asking import ask
from prodigy.steps.computing import compute
from prodigy.steps.course import Course, Walker
from prodigy.steps.durable import Done, Leaf, LeafFailed
from prodigy.steps.protocol import Outcome
from prodigy.steps.stage import Stage
from prodigy.steps.variables import Variables
from prodigy.workflow.model import Analyze, CommitConfig, Step
from prodigy.workflow.patterns import matches_pattern
from prodigy.workflow.template import render_text
from prodigy.workflow.texts import uses_of
from prodigy.workflow.values import TemplateError


async def left(walker: Walker, course: Course, outcome: Outcome, before: str) -> Failure | None:
    """Commit what a step left, and look for the commit that it had to leave; what is wrong with it, if anything is.

    Args:
        walker: runs the step.
        course: the step.
        outcome: of its last try, which succeeded.
        before: the commit that it began with.
    """
    step, stage = course.step, walker.stage
    dirty = isinstance(outcome, StepCompleted) and outcome.dirty
    if walker.commits and needs_commit(step, dirty=dirty, moved=stage.head != before):
        failure = await commit(
            stage, step, walker.variables, course.command, course.path, course.try_, before
        )
        if failure is not None:
            return failure
    if not step.commit_required or await walker.changed_since(before) or (dirty and not walker.commits):
        return None
    message = f"Step `{step.label}` had to leave a commit and left none"
    return course.named(Failure(error_class="commit-missing", message=message))


async def commit(
    stage: Stage, step: Step, variables: Variables, command: str, path: str, try_: int, before: str
) -> Failure | None:
    """Commit what a step left uncommitted, as a leaf of its own; why that failed, if it did.

    Args:
        stage: the agent's ports.
        step: whose changes they are.
        variables: for the message's template.
        command: what the step ran, for people.
        path: of the step.
        try_: of the step.
        before: the commit that the step began with.
    """
    config = step.commit or CommitConfig()
    squash = config.squash and stage.head != before
    leaf_path = f"{path}.commit"
    acted = not stage.door.knows(leaf_path, try_)

    async def action(_intent: int) -> Done:
        if config.message_template is not None:
            uses = uses_of(Step(action=Analyze(), commit=config))
            await ask(stage, variables, uses, leaf_path, try_)
            await compute(stage, variables, uses.computed, leaf_path, try_)
        message = _message(stage, step, config, variables, command)
        _check(config, message)
        if not squash and config.message_pattern and stage.head != before:
            for own in await stage.worktree.messages(before, stage.head):
                _check(config, own)
        wish = CommitWish(
            author=config.author,
            sign=config.sign,
            include=config.include_files,
            exclude=config.exclude_files,
            onto=before if squash else None,
        )
        sha = await stage.worktree.commit_all(message, wish)
        return Done(head_after=sha, value=sha)

    leaf = Leaf(kind="commit", name=step.name or "", command=command, head_before=stage.head)
    outcome = await stage.door.durable(leaf_path, try_, leaf, action)
    if isinstance(outcome, StepFailed):
        return structs.replace(outcome.error, step=path, step_name=step.label)
    was, stage.head = stage.head, outcome.head_after or stage.head
    if acted:
        await tell_commits(stage, path, try_, before if squash else was, auto=True)
    stage.dirty = False
    return None


def needs_commit(step: Step, *, dirty: bool, moved: bool) -> bool:
    """Whether a commit leaf follows: something is uncommitted, or commits are to become one or be looked at."""
    config = step.commit or CommitConfig()
    return step.auto_commit and (dirty or (moved and (config.squash or config.message_pattern is not None)))


async def tell_commits(stage: Stage, path: str, try_: int, before: str, *, auto: bool = False) -> None:
    """Note the commits that are new since ``before``."""
    if stage.head == before:
        return
    at = stage.door.place.at(path, try_)
    commits = (await stage.worktree.history(before, stage.head)).commits
    # An agent's files are told once, with its result; those of other phases here, with the last commit.
    files = await stage.worktree.files(before, stage.head) if stage.door.place.item_id is None else ()
    for made in commits:
        changed = files if made is commits[-1] else ()
        told = CommitCreated(**at, sha=made.sha, auto=auto, message=made.subject, files=changed)
        await stage.door.recorder.note(told)


def _message(stage: Stage, step: Step, config: CommitConfig, variables: Variables, command: str) -> str:
    if config.message_template is None:
        return stage.author.message(step, command)
    try:
        return render_text(config.message_template.source, variables)
    except TemplateError as error:
        message = f"The commit message cannot be made: {error.message}"
        raise LeafFailed(Failure(error_class="commit-failed", message=message)) from None


def _check(config: CommitConfig, message: str) -> None:
    pattern = config.message_pattern
    try:
        fits = pattern is None or matches_pattern(pattern, message)
    except TemplateError as error:
        raise LeafFailed(Failure(error_class="commit-failed", message=error.message)) from None
    if not fits:
        first = message.split("\n", 1)[0]
        said = f"The commit message {first!r} does not match /{pattern}/"
        raise LeafFailed(Failure(error_class="commit-failed", message=said))
