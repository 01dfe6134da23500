"""One agent, whole: a task comes in, its steps run in its worktree, its result goes back.

This is the program that workers run. Everything the agent starts, git and its hooks included, hangs below the one
process slot that it leases; a cancelled agent's trees are stopped with the grace of the cancellation.
"""

import trio
from msgspec import structs

from prodigy.events import Failure
from prodigy.git.cli import Git
from prodigy.git.evidence import (
    CommitRefused,
    History,
    Snapshot,
    auto_commit,
    files_changed,
    head,
    history,
    snapshot,
)
from prodigy.steps.commands import SlotCommands, SlotGit
from prodigy.steps.durable import Door, LeafFailed, Place
from prodigy.steps.interpreter import Interpreter, StepFailure
from prodigy.steps.output import short_tail
from prodigy.steps.protocol import PROTOCOL, AgentEvent, AgentReport, AgentResult, AgentTask, Recorded
from prodigy.steps.variables import Variables
from prodigy.workflow.model import Step
from supervisors import JobLink, Slot, SlotLost, SlotPool, WorkerProgram

SUBJECT = 72
"""Characters of a commit's first line."""


async def serve(task: AgentTask, link: JobLink[AgentReport, Recorded], slots: SlotPool) -> AgentResult:
    """Run an agent's steps in a slot of its own; a slot that is lost takes the attempt along, not the item's fault."""
    began = trio.current_time()
    try:
        async with slots.lease() as slot:
            result = await _serve(task, link, slot)
    except SlotLost as lost:
        failure = Failure(error_class="host-lost", message=f"Its process slot was lost: {lost.reason}")
        result = AgentResult(head=task.head, duration_ms=0, error=failure)
    return structs.replace(result, duration_ms=round((trio.current_time() - began) * 1000))


async def _serve(task: AgentTask, link: JobLink[AgentReport, Recorded], slot: Slot) -> AgentResult:
    git = Git(SlotGit(slot), task.worktree, task.environment).inside(task.worktree)
    place = Place(phase=task.phase, item_id=task.item_id, agent_id=task.agent_id, attempt=task.attempt)
    recorder = LinkRecorder(link)
    worktree = AgentWorktree(git)
    interpreter = Interpreter(
        Door(recorder, place, task.outcomes),
        SlotCommands(slot, task, recorder, place),
        worktree,
        Author(task),
        Variables(task.variables),
        task.head,
    )
    failure = await _run(interpreter, task)
    return await _result(interpreter, worktree, task, failure)


async def _run(interpreter: Interpreter, task: AgentTask) -> Failure | None:
    """Run the steps within the agent's own time; why they failed, if they did."""
    limit = float("inf") if task.timeout is None else task.timeout
    with trio.move_on_after(limit) as scope:
        try:
            await interpreter.run(task.steps, task.prefix)
        except StepFailure as failed:
            return failed.failure
    if scope.cancelled_caught:
        message = f"The agent's time of {limit:g} s was up"
        return Failure(error_class="timeout", message=message, limit=f"{limit:g} s")
    return None


async def _result(
    interpreter: Interpreter, worktree: "AgentWorktree", task: AgentTask, failure: Failure | None
) -> AgentResult:
    """What the agent leaves: commits that descend from its base, and nothing uncommitted."""
    result = AgentResult(
        head=interpreter.head, duration_ms=0, output=short_tail(interpreter.output), error=failure
    )
    if failure is not None or interpreter.head == task.base_commit:
        return structs.replace(result, error=failure or _uncommitted(interpreter))
    made = await worktree.history(task.base_commit, interpreter.head)
    if not made.descends:
        message = "The agent's work does not descend from the commit it started from"
        return structs.replace(result, error=Failure(error_class="history-rewritten", message=message))
    return structs.replace(
        result,
        commits=tuple(commit.sha for commit in made.commits),
        files_changed=await worktree.files(task.base_commit, interpreter.head),
        error=_uncommitted(interpreter),
    )


def _uncommitted(interpreter: Interpreter) -> Failure | None:
    if not interpreter.dirty:
        return None
    message = "Changes were left uncommitted, and `auto_commit` is off"
    return Failure(error_class="commit-missing", message=message)


class LinkRecorder:
    """The agent's events, up the link to the coordinator's recorder."""

    def __init__(self, link: JobLink[AgentReport, Recorded]) -> None:
        self._link = link

    async def record(self, event: AgentEvent) -> int:
        """Wait until the event is on disk; its sequence number."""
        return (await self._link.ask(AgentReport(event))).seq

    async def note(self, event: AgentEvent) -> None:
        """Send the event up."""
        await self._link.tell(AgentReport(event))


class AgentWorktree:
    """Git's answers about the agent's worktree; what lies between two commits is asked once."""

    def __init__(self, git: Git) -> None:
        self._git = git
        self._histories: dict[tuple[str, str], History] = {}
        self._files: dict[tuple[str, str], tuple[str, ...]] = {}

    async def snapshot(self) -> Snapshot:
        """HEAD and what is uncommitted."""
        return await snapshot(self._git)

    async def history(self, base: str, head: str) -> History:
        """The commits that lie between."""
        key = base, head
        if key not in self._histories:
            self._histories[key] = await history(self._git, base, head)
        return self._histories[key]

    async def files(self, base: str, head: str) -> tuple[str, ...]:
        """Paths that differ between two commits."""
        key = base, head
        if key not in self._files:
            self._files[key] = tuple(await files_changed(self._git, base, head))
        return self._files[key]

    async def commit_all(self, message: str) -> str:
        """Commit everything uncommitted; the new HEAD."""
        try:
            sha = await auto_commit(self._git, message, {})
        except CommitRefused as refused:
            failure = Failure(
                error_class="commit-failed", message=f"git refused the commit: {refused.message}"
            )
            raise LeafFailed(failure) from None
        return sha if sha is not None else await head(self._git)


class Author:
    """Messages of the commits that Prodigy makes of what steps leave."""

    def __init__(self, task: AgentTask) -> None:
        self._task = task

    def message(self, step: Step, command: str) -> str:
        """Workflow and step in the subject; item, command and trailers below."""
        task = self._task
        first_line = next((line.strip() for line in command.splitlines() if line.strip()), "")
        subject = f"{task.workflow_name}: {step.name or first_line}"
        if len(subject) > SUBJECT:
            subject = subject[: SUBJECT - 1] + "…"
        body = [f"Item: {task.item_text}"] if task.item_text is not None else []
        body.append(f"Command: {first_line}")
        trailers = [f"Prodigy-Job: {task.job_id}"]
        if task.item_id is not None:
            trailers.append(f"Prodigy-Item: {task.item_id}")
        return "\n".join([subject, "", *body, "", *trailers, ""])


PROGRAM = WorkerProgram(PROTOCOL, serve)
"""What ``prodigy`` workers are started with."""
