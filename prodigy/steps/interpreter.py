"""Running steps in the shape of the language: plain recursive functions over ports.

The order inside a step: render → run → commit what it left → check the evidence → ``on_failure``. A failing step
without a handler ends its list by raising ``StepFailure``; a failure is never silently ignored. Nothing here decides
about items, phases or merges, and nothing acts except through the door (``durable``).

Paths: steps count from 1; round N of a handler is ``#N``: ``2``, ``2.commit``, ``2.on_failure#1.1``.
"""

from contextlib import suppress
from typing import Protocol

import trio
from msgspec import Struct, structs

from prodigy.events import CommitCreated, Failure, HandlerCompleted, HandlerStarted, StepFailed
from prodigy.git.evidence import History, Snapshot
from prodigy.steps.durable import Done, Door, Leaf, LeafFailed
from prodigy.steps.protocol import Outcome
from prodigy.steps.variables import Variables
from prodigy.workflow.model import Handler, Step
from prodigy.workflow.shell_quote import render_shell
from prodigy.workflow.template import render_text
from prodigy.workflow.values import TemplateError

READABLE = 4000
"""Characters of a command as the journal and the screen show it."""


class StepFailure(Exception):
    """A step failed and nothing repaired it."""

    def __init__(self, failure: Failure) -> None:
        super().__init__(failure.message)
        self.failure = failure


class Commands(Protocol):
    """Runs a step's script in the agent's worktree."""

    async def run_script(
        self, script: str, *, path: str, try_: int, timeout: float | None, intent: int
    ) -> Done:
        """Run to the end, everything it started included; raise ``LeafFailed`` unless it exits with 0."""
        ...


class Worktree(Protocol):
    """What the interpreter asks git about the agent's worktree."""

    async def snapshot(self) -> Snapshot:
        """HEAD and what is uncommitted."""
        ...

    async def history(self, base: str, head: str) -> History:
        """The commits that lie between."""
        ...

    async def files(self, base: str, head: str) -> tuple[str, ...]:
        """Paths at which two commits differ."""
        ...

    async def commit_all(self, message: str) -> str:
        """Commit everything uncommitted; raise ``LeafFailed`` where a hook refuses."""
        ...


class Author(Protocol):
    """Words of the commits that Prodigy makes."""

    def message(self, step: Step, command: str) -> str:
        """Workflow, step, item, the command as it ran, and the trailers that name the job."""
        ...


class Tried(Struct, frozen=True):
    """One run of a step with its evidence checked."""

    outcome: Outcome
    failure: Failure | None
    head: str


class Interpreter:
    """Runs one agent's steps.

    Args:
        door: records intents and outcomes.
        commands: runs scripts.
        worktree: answers for git.
        author: writes commit messages.
        variables: what texts can read; changed by the steps.
        head: the worktree's commit as the first step finds it.
    """

    def __init__(
        self,
        door: Door,
        commands: Commands,
        worktree: Worktree,
        author: Author,
        variables: Variables,
        head: str,
    ) -> None:
        self._door = door
        self._commands = commands
        self._worktree = worktree
        self._author = author
        self._variables = variables
        self.head = head
        self.dirty = False
        """Whether the last step left changes uncommitted."""
        self.output = ""
        """Tail of the last step's standard output."""

    async def run(self, steps: tuple[Step, ...], prefix: str = "") -> None:
        """Run a list of steps in order; raise ``StepFailure`` at the first that stays failed."""
        for number, step in enumerate(steps, 1):
            await self._step(step, f"{prefix}{number}")

    async def _step(self, step: Step, path: str) -> None:
        tried = await self._try(step, path, 1)
        if tried.failure is not None and step.on_failure is not None:
            tried = await self._repair(step, step.on_failure, path, tried)
        if tried.failure is not None and (step.on_failure is None or step.on_failure.fail_workflow):
            raise StepFailure(tried.failure)
        if tried.failure is None:
            self._variables.finished(step, tried.outcome, tried.outcome.try_)

    # -- one try -----------------------------------------------------------------------------------------------------
    async def _try(self, step: Step, path: str, try_: int) -> Tried:
        """Run the step once: its command, the commit of what it left, the evidence."""
        before = self.head
        acted = not self._door.knows(path, try_)
        command = readable(step, self._variables)
        outcome = await self._command(step, command, path, try_)
        self.head = outcome.head_after or self.head
        self.output = outcome.stdout.tail
        if isinstance(outcome, StepFailed):
            return Tried(outcome, self._named(outcome.error, step, path), self.head)
        if acted:
            await self._tell_commits(path, try_, before)
        self.dirty = outcome.dirty
        failure = None
        if outcome.dirty and step.auto_commit:
            failure = await self._commit(step, command, path, try_)
        if failure is None and step.commit_required:
            failure = await self._evidence(step, path, before)
        return Tried(outcome, failure, self.head)

    async def _command(self, step: Step, command: str, path: str, try_: int) -> Outcome:
        rendered = script_of(step, self._variables)
        leaf = Leaf(
            kind=step.kind,
            name=step.name or "",
            command=command,
            head_before=self.head,
            timeout=step.timeout,
        )

        async def action(intent: int) -> Done:
            if isinstance(rendered, Failure):
                raise LeafFailed(rendered, head_after=self.head)
            done = await self._commands.run_script(
                rendered, path=path, try_=try_, timeout=step.timeout, intent=intent
            )
            seen = await self._worktree.snapshot()
            return structs.replace(done, head_after=seen.head, dirty=bool(seen.dirty))

        return await self._door.durable(path, try_, leaf, action)

    async def _commit(self, step: Step, command: str, path: str, try_: int) -> Failure | None:
        """Commit what the step left uncommitted, as a leaf of its own."""
        message = self._author.message(step, command)
        leaf = Leaf(kind="commit", command=message.splitlines()[0], head_before=self.head)

        async def action(_intent: int) -> Done:
            sha = await self._worktree.commit_all(message)
            return Done(head_after=sha, value=sha)

        acted = not self._door.knows(f"{path}.commit", try_)
        outcome = await self._door.durable(f"{path}.commit", try_, leaf, action)
        if isinstance(outcome, StepFailed):
            return self._named(outcome.error, step, path)
        before, self.head = self.head, outcome.head_after or self.head
        if acted:
            await self._tell_commits(path, try_, before, auto=True)
        self.dirty = False
        return None

    async def _evidence(self, step: Step, path: str, before: str) -> Failure | None:
        """``commit_required``: a commit new since the step began, whose tree differs."""
        if self.head != before and await self._worktree.files(before, self.head):
            return None
        message = f"Step `{step.label}` had to leave a commit and left none"
        return Failure(error_class="commit-missing", message=message, step=path, step_name=step.label)

    async def _tell_commits(self, path: str, try_: int, before: str, *, auto: bool = False) -> None:
        if self.head == before:
            return
        at = self._door.place.at(path, try_)
        commits = (await self._worktree.history(before, self.head)).commits
        # An agent's files are told once, with its result; those of other phases here, with the last commit.
        files = await self._worktree.files(before, self.head) if self._door.place.item_id is None else ()
        for commit in commits:
            changed = files if commit is commits[-1] else ()
            told = CommitCreated(**at, sha=commit.sha, auto=auto, message=commit.subject, files=changed)
            await self._door.recorder.note(told)

    # -- repair ------------------------------------------------------------------------------------------------------
    async def _repair(self, step: Step, handler: Handler, path: str, tried: Tried) -> Tried:
        """Rounds of handler and proof, until the step succeeds or the rounds are used up."""
        for round_ in range(1, handler.max_attempts + 1):
            assert tried.failure is not None
            self._variables.failing(step, tried.outcome, tried.failure, tried.outcome.try_)
            self._variables.in_handler(round_, handler.max_attempts)
            if not await self._handle(handler, f"{path}.on_failure#{round_}", path, round_):
                continue
            if not handler.retry_original and handler.steps:
                return structs.replace(tried, failure=None)
            tried = await self._try(step, path, round_ + 1)
            if tried.failure is None:
                return tried
        return tried

    async def _handle(self, handler: Handler, handler_path: str, path: str, round_: int) -> bool:
        """One round of the handler's own steps; whether they all succeeded."""
        at = self._door.place.at(path)
        await self._door.recorder.note(HandlerStarted(**at, which="on_failure", round=round_))
        ok = False
        with (
            trio.move_on_after(float("inf") if handler.timeout is None else handler.timeout),
            suppress(StepFailure),
        ):
            await self.run(handler.steps, f"{handler_path}.")
            ok = True
        await self._door.recorder.note(HandlerCompleted(**at, which="on_failure", round=round_, ok=ok))
        return ok

    @staticmethod
    def _named(failure: Failure, step: Step, path: str) -> Failure:
        return structs.replace(failure, step=path, step_name=step.label)


def script_of(step: Step, variables: Variables) -> str | Failure:
    """The step's script with its references filled, or why they cannot be."""
    try:
        return render_shell(step.action.script, variables)
    except TemplateError as error:
        return Failure(error_class="undefined-variable", message=str(error))


def readable(step: Step, variables: Variables) -> str:
    """The step's text with values in place, for people, 4,000 characters at most; what runs is ``script_of``."""
    try:
        text = render_text(step.action.script, variables)
    except TemplateError:
        text = step.action.script
    return text if len(text) <= READABLE else f"{text[:READABLE]}…"
