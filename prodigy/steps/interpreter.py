"""Running steps in the shape of the language: plain recursive functions over ports.

The order inside a step: ``when`` → texts and values filled in → run, with ``retry`` → captures → commit of what it left
→ ``commit_required`` → ``on_exit_code`` → ``validate`` → ``on_success`` or ``on_failure``. A failing step that nothing
repairs ends its list by raising ``StepFailure``; a failure is never silently ignored. Nothing here decides about items,
phases or merges, and nothing acts except through the door (``durable``).

Paths: steps count from 1; round N of a handler is ``#N``: ``2``, ``2.commit``, ``2.on_failure#1.1``; what hangs below a
later try of a step says so: ``2@2.foreach[a].1``.
"""

import zlib
from collections.abc import Mapping
from itertools import chain
from typing import Any, Self

import trio
from msgspec import structs

from prodigy.events import Failure, StepFailed, StepRetrying, StepSkipped, StepWarned
from prodigy.job.retry import next_delay
from prodigy.steps import evidence
from prodigy.steps.course import Course, Tried
from prodigy.steps.durable import Done, Door, Leaf, LeafFailed
from prodigy.steps.patience import Listener
from prodigy.steps.perform import perform, run_program, run_script, value_failure
from prodigy.steps.prepare import begin, prepare
from prodigy.steps.protocol import Outcome
from prodigy.steps.repair import Which, handled, repaired
from prodigy.steps.runner import Ended, Program, StepFailure
from prodigy.steps.stage import Stage
from prodigy.steps.variables import Span, Variables
from prodigy.workflow.deferred import seconds
from prodigy.workflow.model import COMPOUND, Environment, Step, Text, Until
from prodigy.workflow.template import render_text
from prodigy.workflow.values import TemplateError

__all__ = ["Interpreter", "StepFailure"]


class Interpreter:
    """Runs lists of steps: an agent's own, and those within its steps; a ``Runner``.

    Args:
        stage: what all interpreters of the agent share.
        variables: what texts can read; changed by the steps.
        commits: whether its steps commit what they leave.
        layers: layers of the environment between the agent's and the steps'.
        ours: variables of its steps' processes, over all layers.
    """

    def __init__(
        self,
        stage: Stage,
        variables: Variables,
        *,
        commits: bool = True,
        layers: tuple[Environment, ...] = (),
        ours: Mapping[str, str] | None = None,
    ) -> None:
        self.stage = stage
        self.variables = variables
        self.commits = commits
        self.layers = layers
        self.ours = dict(ours or {})
        self.last: Outcome | None = None
        """The outcome of the step that finished last, whether it failed or not."""
        self._course: Course | None = None

    async def run(self, steps: tuple[Step, ...], prefix: str = "") -> None:
        """Run a list of steps in order; raise ``StepFailure`` at the first that stays failed."""
        for number, step in enumerate(steps, 1):
            path = f"{prefix}{number}"
            self.stage.head = self.door.began_at(path) or self.stage.head
            await self._step(Course(step, path, number - 1, self.stage.head))

    async def _step(self, course: Course) -> None:
        self._course = course
        if not await begin(self, course):
            await self._skip(course)
            return
        tried = await self.attempt(course)
        if tried.failure is not None:
            tried = await repaired(self, course, tried)
        self.finished(course, tried)
        if tried.failure is None:
            tried = await self._celebrate(course, tried)
        if tried.failure is not None:
            await self._tolerate(course, tried)

    def finished(self, course: Course, tried: Tried) -> None:
        """Make what came of a step readable."""
        self.last = tried.outcome
        span = Span(course.before, self.stage.head)
        self.variables.finished(course.step, tried.outcome, span, course.index)

    async def _tolerate(self, course: Course, tried: Tried) -> None:
        """Go on after a failure if the workflow says so."""
        assert tried.failure is not None
        handler = course.handler
        if tried.fatal or handler is None or handler.fail_workflow:
            raise StepFailure(tried.failure)
        await self.warn(course, "failure-tolerated", tried.failure.message)

    async def _celebrate(self, course: Course, tried: Tried) -> Tried:
        """Run ``on_success``; a failure in it is the step's."""
        if not course.step.on_success:
            return tried
        failure = await self._answer(course, "on_success", course.step.on_success, tried)
        return structs.replace(tried, failure=failure)

    async def _skip(self, course: Course) -> None:
        at = self.door.place.at(course.path)
        await self.door.recorder.note(StepSkipped(**at, name=course.step.label))
        self.variables.skipped(course.step)

    # -- one attempt -------------------------------------------------------------------------------------------------
    async def attempt(self, course: Course) -> Tried:
        """Run the step with its retries and look at what it left, from its command to its validation."""
        course.round += 1
        head = self.stage.head
        tried = course.tried(await self._run(course))
        if tried.failure is None:
            self.variables.ran(course.step, Span(course.before), course.index, course.try_)
            tried = structs.replace(tried, failure=await evidence.left(self, course, tried.outcome, head))
        tried = await self._by_exit_code(course, tried)
        if tried.failure is None and course.step.validate is not None:
            tried = structs.replace(tried, failure=await self._validate(course))
        return tried

    async def _run(self, course: Course) -> Outcome:
        """Tries, with delays between them, until one succeeds or there is to be no further one."""
        runs, spent = 0, 0.0
        while True:
            course.try_ += 1
            outcome = await self._try(course)
            runs += 1
            spent += outcome.duration_ms / 1000
            if not isinstance(outcome, StepFailed) or course.step.retry is None:
                return outcome
            u = chance(f"{self.door.place.item_id}/{course.path}/{course.try_}")
            wait = next_delay(course.step.retry, runs, spent, outcome.error, u)
            if wait is None:
                return outcome
            spent += wait
            await self._wait(course, wait, outcome.error)

    async def _wait(self, course: Course, wait: float, failure: Failure) -> None:
        if self.door.knows(course.path, course.try_ + 1):
            return
        at = self.door.place.at(course.path, course.try_ + 1)
        backoff = StepRetrying(**at, backoff_ms=round(wait * 1000), message=failure.message)
        await self.door.recorder.note(backoff)
        await trio.sleep(wait)

    async def _try(self, course: Course) -> Outcome:
        """One run of the step's action, through the door."""
        await prepare(self, course)
        acted = not self.door.knows(course.path, course.try_)
        before = self.stage.head
        timeout = course.step.timeout
        leaf = Leaf(
            kind=course.step.kind,
            name=course.step.name or "",
            command=course.command or course.step.text,
            head_before=before,
            timeout=None if course.trouble is not None else seconds(timeout),
        )

        async def action(intent: int) -> Done:
            if course.trouble is not None:
                raise LeafFailed(course.trouble, head_after=before)
            return await perform(self, course, intent)

        outcome = await self.door.durable(course.path, course.try_, leaf, action)
        self.last = outcome
        self.stage.head = outcome.head_after or self.stage.head
        self.stage.dirty = not isinstance(outcome, StepFailed) and outcome.dirty
        if acted and not isinstance(course.step.action, COMPOUND):  # whose own steps have told theirs
            await evidence.tell_commits(self.stage, course.path, course.try_, before)
        elif not isinstance(outcome, StepFailed) and self._is_wanted(course.step.detach):
            await self._start_again(course, outcome.intent)
        return outcome

    def _is_wanted(self, detach: Until | None) -> bool:
        """Whether steps to come count on something that an earlier run left running."""
        return detach == "run" or (detach == "agent" and not self.door.closed)

    async def _start_again(self, course: Course, intent: int) -> None:
        """Start what an earlier run left running: it ended with that run, or runs still, and later steps count on it."""
        try:
            await perform(self, course, intent)
        except LeafFailed as failed:
            raise StepFailure(course.named(failed.failure)) from None

    async def _by_exit_code(self, course: Course, tried: Tried) -> Tried:
        """Run ``on_exit_code``; it can fail a step that succeeded, and never the other way round."""
        outcome = tried.outcome
        code = outcome.error.exit_code if isinstance(outcome, StepFailed) else outcome.exit_code
        if code is None:
            return tried
        steps = tuple(chain.from_iterable(on.steps for on in course.step.on_exit_code if code in on))
        if not steps:
            return tried
        failure = await self._answer(course, "on_exit_code", steps, tried)
        return structs.replace(tried, failure=tried.failure or failure)

    async def _validate(self, course: Course) -> Failure | None:
        from prodigy.steps.validation import validate

        check = course.step.validate
        assert check is not None

        async def action(_intent: int) -> Done:
            return await validate(self, course.step, check, course.path, course.try_)

        leaf = Leaf(kind="check", name=course.step.label, head_before=self.stage.head)
        outcome = await self.door.durable(f"{course.path}.validate", course.try_, leaf, action)
        self.variables.validated(outcome.value)
        return course.named(outcome.error) if isinstance(outcome, StepFailed) else None

    # -- lists within the step ---------------------------------------------------------------------------------------
    def nested(self, ours: Mapping[str, str] | None = None) -> Self:
        """A runner for a list that belongs to a step of ours, such as a handler's: captures are shared."""
        return type(self)(
            self.stage,
            self.variables.nested(),
            commits=self.commits,
            layers=self.layers,
            ours={**self.ours, **(ours or {})},
        )

    async def _answer(
        self, course: Course, which: Which, steps: tuple[Step, ...], tried: Tried
    ) -> Failure | None:
        """Run steps that answer to how a step ended; why they failed, if they did."""
        inner = self.nested()
        if tried.failure is None:
            span = Span(course.before, self.stage.head)
            inner.variables.finished(course.step, tried.outcome, span, course.index)
        else:
            inner.variables.failing(course.step, tried.outcome, tried.failure, course.index)
        suffix = which if course.round == 1 else f"{which}#{course.round}"
        return await handled(inner, course, which, course.round, steps, suffix)

    async def warn(self, course: Course, code: str, message: str) -> None:
        """Say that something is odd about a step."""
        at = self.door.place.at(course.path, course.try_)
        await self.door.recorder.note(StepWarned(**at, code=code, message=message))

    # -- a runner for actions ----------------------------------------------------------------------------------------
    @property
    def door(self) -> Door:
        """Through which every leaf acts."""
        return self.stage.door

    @property
    def worktree(self) -> str:
        """Absolute path of the agent's worktree."""
        return self.stage.folder

    @property
    def logs(self) -> str:
        """Absolute path of the folder of the attempt's logs."""
        return self.stage.logs

    @property
    def head(self) -> str:
        """The commit that the worktree stands on."""
        return self.stage.head

    async def changed_since(self, head: str) -> bool:
        """Whether there is a commit since ``head`` whose tree differs from it."""
        return self.stage.head != head and await self.stage.worktree.differ(head, self.stage.head)

    def inside(
        self,
        roots: Mapping[str, Any],
        *,
        commits: bool = True,
        environment: Mapping[str, str] | None = None,
        layer: Environment | None = None,
        isolated: bool = False,
    ) -> Self:
        """See ``runner.Runner``."""
        layers = self.layers if layer is None else (*self.layers, layer)
        variables = self.variables.inside(roots, isolated=isolated)
        ours = {**self.ours, **(environment or {})}
        return type(self)(self.stage, variables, commits=commits and self.commits, layers=layers, ours=ours)

    def text(self, text: Text | str) -> str:
        """A plain text with its references filled in; raises ``LeafFailed`` where that cannot be done."""
        source = text if isinstance(text, str) else text.source
        try:
            return render_text(source, self.variables)
        except TemplateError as error:
            raise LeafFailed(value_failure(error)) from None

    def environment(self, _step: Step) -> dict[str, str]:
        """The whole environment of the processes of the step that runs."""
        return dict(self.current.environment)

    @property
    def reached(self) -> Course | None:
        """The step of our list that began last; ``None`` before the first."""
        return self._course

    @property
    def current(self) -> Course:
        """The step that runs."""
        assert self._course is not None, "no step runs"
        return self._course

    async def script(self, script: str, *, path: str, timeout: float | None = None) -> Done:
        """Run a script as a leaf of its own; raises ``LeafFailed``."""
        return await run_script(self, script, path, timeout)

    async def launch(
        self, program: Program, step: Step, *, path: str, try_: int, listen: Listener | None = None
    ) -> Ended:
        """See ``runner.Runner``."""
        return await run_program(self, program, step, path, try_, listen)


def chance(of: str) -> float:
    """A number from 0 up to 1 that is always the same for the same text, so that a resumed run waits as the first did."""
    return zlib.crc32(of.encode("utf-8", "surrogatepass")) / 2**32
