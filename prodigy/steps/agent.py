"""One agent, whole: a task comes in, its steps run in its worktree, its result goes back.

This is the program that workers run. Everything the agent starts, git and its hooks included, hangs below the
process slots that it leases; a cancelled agent's trees are stopped with the grace of the cancellation.
"""

from contextlib import suppress
from datetime import datetime
from functools import cache, partial
from pathlib import Path
from typing import TypeVar, cast
from uuid import uuid4

import trio
from msgspec import structs

from prodigy.events import Backend, ClaudeIntended, Failure
from prodigy.git.cli import Git, GitFailed
from prodigy.git.commit_text import LooseCommits
from prodigy.git.disks import Disks
from prodigy.git.index_file import Layouts
from prodigy.steps.agent_worktree import AgentWorktree
from prodigy.steps.backend import AgentBackend
from prodigy.steps.clock import Clock
from prodigy.steps.commands import SlotCommands
from prodigy.steps.course import Course
from prodigy.steps.durable import Begun, Closed, Door, Place
from prodigy.steps.hidden import Hidden
from prodigy.steps.interpreter import Interpreter, StepFailure
from prodigy.steps.limits import Allowance, least
from prodigy.steps.output import cut, short_tail
from prodigy.steps.protocol import PROTOCOL, AgentEvent, AgentReport, AgentResult, AgentTask, Recorded
from prodigy.steps.redaction import masked, revealed
from prodigy.steps.slot_git import SlotGit
from prodigy.steps.stage import Stage
from prodigy.steps.variables import Variables
from prodigy.workflow.deferred import seconds
from prodigy.workflow.model import Environment, Step
from supervisors import JobLink, SlotLost, SlotPool, WorkerProgram

SUBJECT = 72
"""Characters of a commit's first line."""
_LABEL = 80
E = TypeVar("E", bound=BaseException)


class Agents:
    """Runs agents, one task each."""

    def __init__(self) -> None:
        self._layouts = Layouts()
        self._disks = Disks()

    async def serve(
        self, task: AgentTask, link: JobLink[AgentReport, Recorded], slots: SlotPool
    ) -> AgentResult:
        """Run an agent's steps.

        A slot that is lost takes the attempt along, which is not the item's fault; a worktree that git can make nothing
        of ends it.
        """
        began = trio.current_time()
        slots.grace.seconds = task.grace
        try:
            result = await _serve(task, link, slots, self._layouts, self._disks)
        except* SlotLost as lost:
            failure = Failure(
                error_class="host-lost", message=f"Its process slot was lost: {_first(lost).reason}"
            )
            result = AgentResult(head=task.head, duration_ms=0, error=failure)
        except* GitFailed as failed:
            failure = _unusable(task.worktree, _first(failed))
            result = AgentResult(head=task.head, duration_ms=0, error=failure)
        return structs.replace(result, duration_ms=round((trio.current_time() - began) * 1000))


def _first(group: BaseExceptionGroup[E]) -> E:
    inner: BaseException = group
    while isinstance(inner, BaseExceptionGroup):
        inner = inner.exceptions[0]
    return cast("E", inner)


def _unusable(worktree: str, failed: GitFailed) -> Failure:
    """What git has against the worktree of the agent."""
    if Path(worktree, ".git").exists():
        return Failure(error_class="worktree-error", message=failed.message, stderr_tail=failed.note or "")
    message = f"Its worktree is gone: something removed {worktree} while it worked"
    return Failure(error_class="worktree-error", message=message)


async def _serve(
    task: AgentTask,
    link: JobLink[AgentReport, Recorded],
    slots: SlotPool,
    layouts: Layouts,
    disks: Disks,
) -> AgentResult:
    git = Git(SlotGit(slots), task.worktree, task.environment).inside(task.worktree)
    place = Place(phase=task.phase, item_id=task.item_id, agent_id=task.agent_id, attempt=task.attempt)
    known = {**task.environment, **task.for_claude}
    hidden = Hidden({name: known[name] for name in task.secrets if name in known})
    clock = Clock()
    recorder = LinkRecorder(link, hidden, clock)
    allowance = Allowance(task.limits, attempt=task.phase == "map")
    commands = SlotCommands(slots, task.logs, task.grace, allowance, recorder, place, hidden)
    worktree = AgentWorktree(git, hidden, LooseCommits(task.common_dir), task, layouts, commands)
    outcomes = {key: revealed(outcome, hidden.masker) for key, outcome in task.outcomes.items()}
    begun = Begun(conversations=task.conversations, finished=task.finished, put_aside=task.put_aside)
    places = (task.worktree, *((task.common_dir,) if task.common_dir is not None else ()))
    flush = partial(disks.flush, *places)
    stage = Stage(
        door=Door(recorder, place, outcomes, begun, clock, flush=flush, closed=task.waking),
        commands=commands,
        worktree=worktree,
        author=Author(task, hidden),
        oracle=Oracle(),
        folder=task.worktree,
        logs=task.logs,
        head=task.head,
        base=task.workflow_base or task.base_commit,
        backend=cache(partial(_backend, task.backend)),
        max_capture=task.max_capture,
        read_apart=frozenset(task.read_apart),
        profile=task.profile,
        for_claude=task.for_claude,
        learn=hidden.learn,
    )
    variables = Variables(
        hidden.masker.reveal(task.variables),
        fields=hidden.masker.reveal(task.fields),
        environment=task.environment,
        declared=(*task.declared, *(variable.name for variable in task.later)),
        secrets=task.secrets,
    )
    later = (Environment(variables=task.later),) if task.later else ()
    interpreter = Interpreter(stage, variables, layers=later)
    async with commands.open():
        if task.waking:
            await _wake(interpreter, task)
            return AgentResult(head=task.head, duration_ms=0)
        failure = await _run(interpreter, task, clock)
    result = await _result(interpreter, stage, task, failure)
    return structs.replace(masked(result, hidden.masker), residue=worktree.residue)


def _backend(chosen: Backend) -> AgentBackend:
    from prodigy.steps.backends import opened  # an agent without Claude steps never needs it

    return opened(chosen)


async def _wake(interpreter: Interpreter, task: AgentTask) -> None:
    """Walk over what is recorded, for the sake of what was left running; the end of that is as good as any."""
    with suppress(StepFailure):
        try:
            await interpreter.run(task.steps, task.prefix)
        except* Closed:
            pass


async def _run(interpreter: Interpreter, task: AgentTask, clock: Clock) -> Failure | None:
    """Run the steps within the agent's own time; why they failed, if they did."""
    wall = None if task.limits is None else seconds(task.limits.wall)
    limit = least(task.timeout, wall)
    with clock.limited(limit):
        try:
            await interpreter.run(task.steps, task.prefix)
        except StepFailure as failed:
            return failed.failure
        return None
    assert limit is not None, "it was up"
    text = f"{round(limit, 2):g} s"  # what is left of a phase's time is no round number
    if limit == task.timeout:
        whose = "The agent's" if task.phase == "map" else f"The {task.phase} phase's"
        failure = Failure(error_class="timeout", message=f"{whose} time of {text} was up", limit=text)
    else:
        message = f"wall {text} > {text}"
        failure = Failure(error_class="limit-exceeded", message=message, limit=f"wall > {text}")
    return _cut_short(failure, interpreter.reached)


def _cut_short(failure: Failure, reached: Course | None) -> Failure:
    """The failure with the name of the step that ran when the time was up, if one had begun.

    It blames no step: a phase that failed is taken up at the step that its failure blames, whose outcomes are
    forgotten, and this one did nothing wrong. Which leaf of an item was cut off is found in the records.
    """
    if reached is None:
        return failure
    label = reached.step.label
    return structs.replace(
        failure, step_name=label, message=f"{failure.message} in step {reached.path}, {cut(label, _LABEL)}"
    )


async def _result(
    interpreter: Interpreter, stage: Stage, task: AgentTask, failure: Failure | None
) -> AgentResult:
    """What the agent leaves: commits that descend from its base, and nothing uncommitted."""
    output = "" if interpreter.last is None else interpreter.last.stdout.tail
    result = AgentResult(
        head=stage.head,
        duration_ms=0,
        output=short_tail(output),
        variables=interpreter.variables.captured(),
        fields=interpreter.variables.captured_fields(),
        error=failure,
    )
    if failure is not None or stage.head == task.base_commit:
        return structs.replace(result, error=failure or _uncommitted(stage, task))
    made = await stage.worktree.history(task.base_commit, stage.head)
    if not made.descends:
        message = "The agent's work does not descend from the commit it started from"
        return structs.replace(result, error=Failure(error_class="history-rewritten", message=message))
    return structs.replace(
        result,
        commits=tuple(commit.sha for commit in made.commits),
        files_changed=None if task.base_tree else await stage.worktree.files(task.base_commit, stage.head),
        error=_uncommitted(stage, task),
    )


def _uncommitted(stage: Stage, task: AgentTask) -> Failure | None:
    """Work that nobody committed would be lost.

    What ``verify`` leaves is thrown away anyhow, with its worktree; what ``resolve`` leaves is looked at afterwards.
    """
    if not stage.dirty or task.phase in {"verify", "resolve"}:
        return None
    message = "Changes were left uncommitted, and `auto_commit` is off"
    return Failure(error_class="commit-missing", message=message)


class Oracle:
    """This machine's clock and its randomness."""

    def now(self) -> datetime:
        """The local time."""
        return datetime.now().astimezone()

    def uuid(self) -> str:
        """A random UUID."""
        return str(uuid4())


class LinkRecorder:
    """The agent's events, up the link to the coordinator's recorder."""

    def __init__(self, link: JobLink[AgentReport, Recorded], hidden: Hidden, clock: Clock) -> None:
        self._link = link
        self._clock = clock
        self._hidden = hidden

    async def record(self, event: AgentEvent) -> int:
        """Wait until the event is on disk; its sequence number."""
        return (await self._link.ask(self._report(event))).seq

    async def note(self, event: AgentEvent) -> None:
        """Send the event up."""
        await self._link.tell(self._report(event))

    async def admit(self, event: ClaudeIntended) -> float | None:
        """Wait for leave to launch Claude; what that may cost."""
        with self._clock.stopped():
            return (await self._link.ask(self._report(event))).reserved_usd

    def _report(self, event: AgentEvent) -> AgentReport:
        return AgentReport(masked(event, self._hidden.masker))


class Author:
    """Messages of the commits that Prodigy makes of what steps leave."""

    def __init__(self, task: AgentTask, hidden: Hidden) -> None:
        self._task = task
        self._hidden = hidden

    def message(self, step: Step, command: str) -> str:
        """Workflow and step in the subject; item, command and trailers below."""
        task = self._task
        masked = self._hidden.masker.text  # before anything is cut, lest a part of a secret stays
        first_line = next((line.strip() for line in masked(command).splitlines() if line.strip()), "")
        subject = f"{task.workflow_name}: {masked(step.name or '') or first_line}"
        if len(subject) > SUBJECT:
            subject = subject[: SUBJECT - 1] + "…"
        body = [f"Item: {task.item_text}"] if task.item_text is not None else []
        body.append(f"Command: {first_line}")
        trailers = [f"Prodigy-Job: {task.job_id}"]
        if task.item_id is not None:
            trailers.append(f"Prodigy-Item: {task.item_id}")
        return "\n".join([subject, "", *body, "", *trailers, ""])


PROGRAM = WorkerProgram(PROTOCOL, Agents().serve)
"""What ``prodigy`` workers are started with."""
