"""Attempts at a goal, each scored by a check, until the score is good enough or nothing gets better.

``{path}.goal_seek#N.1`` are the leaves of the N-th attempt, ``{path}.goal_seek#N.validate.1`` those of the check after
it; a check before the first attempt is number 0. An attempt that fails is scored like any other.
"""

from collections.abc import Mapping
from typing import Any

from msgspec import Struct

from prodigy.events import Failure, GoalSeekAttempted, StepWarned
from prodigy.steps.durable import Done, LeafFailed, below
from prodigy.steps.nested import attempted, output_of, stream_of
from prodigy.steps.runner import Runner
from prodigy.steps.scores import converged
from prodigy.steps.validation import check_once, feedback
from prodigy.steps.verdicts import Verdict, scored
from prodigy.workflow.deferred import count, seconds, share
from prodigy.workflow.model import GoalSeek, Step

_REASONS = {
    "converged": "further attempts changed nothing",
    "timeout": "the time was up",
    "max_attempts": "no attempt was left",
}
_UNCHECKED = Verdict(completion=0.0, status="unchecked", exit_code=None)
"""What texts of the first attempt read of the check before it."""


async def goal_seek(runner: Runner, step: Step, action: GoalSeek, path: str, try_: int) -> Done:
    """Seek a goal.

    The outcome's ``value`` holds ``score`` (0 to 100, of the last check), ``attempts``, ``threshold``, ``goal``,
    ``max_attempts`` and ``status``: ``success``, ``converged``, ``timeout`` or ``max_attempts``. Its output is that of
    the last attempt, or of the check if there was none.

    A goal that is not reached is told (``goal-missed``) where it is no failure.

    Raises:
        LeafFailed: ``validation-failed`` if the goal is not reached and ``fail_on_incomplete`` holds.
    """
    search = _Search(runner, step, action, path, try_)
    limit = seconds(action.timeout)
    with runner.door.clock.limited(limit) as time:
        await search.run()
    if time.cancelled_caught:
        search.status = "timeout"
    fields = search.fields()
    output = stream_of(search.output)
    if search.status == "success":
        return Done(stdout=output, value=fields)
    failure = search.failure()
    if action.fail_on_incomplete:
        raise LeafFailed(failure, stdout=output, value=fields)
    at = runner.door.place.at(path, try_)
    await runner.door.recorder.note(StepWarned(**at, code="goal-missed", message=failure.message))
    return Done(stdout=output, value=fields)


class _Round(Struct, frozen=True):
    """An attempt and its verdict."""

    verdict: Verdict
    trouble: Failure | None = None


class _Search:
    """The state of one search; ``status`` is how it ended."""

    def __init__(self, runner: Runner, step: Step, action: GoalSeek, path: str, try_: int) -> None:
        self._runner = runner
        self._action = action
        self._path = path
        self._try = try_
        self._base = below(path, try_)
        self._limit = count(action.max_attempts)
        self._threshold = share(action.threshold)
        self._goal = runner.text(action.goal) or step.label
        self._rounds: list[_Round] = []
        self._attempts = 0
        self.status = "running"
        self.output = ""

    async def run(self) -> None:
        """Attempt and check until there is a reason to stop."""
        if self._action.check_first:
            self._rounds.append(_Round(await self._check(0)))
            self.output = self._rounds[-1].verdict.output
        while not self._is_over():
            trouble = await self._attempt(self._attempts + 1)
            self._rounds.append(_Round(await self._check(self._attempts), trouble))

    def _is_over(self) -> bool:
        if self._score >= self._threshold and self._rounds:
            self.status = "success"
        elif self._attempts >= self._limit:
            self.status = "max_attempts"
        elif self._action.convergence and converged([done.verdict.completion for done in self._rounds]):
            self.status = "converged"
        else:
            return False
        return True

    async def _attempt(self, number: int) -> Failure | None:
        environment = feedback(self._rounds[-1].verdict) if self._rounds else {}
        inner = self._runner.inside(self._roots(number), environment=environment)
        self._attempts = number
        trouble = await attempted(inner, self._action.steps, f"{self._base}.goal_seek#{number}.")
        self.output = output_of(inner.last)
        return trouble

    async def _check(self, number: int) -> Verdict:
        inner = self._runner.inside(self._roots(number))
        prefix = f"{self._base}.goal_seek#{number}.validate"
        told = self._runner.door.knows(f"{prefix}.1", 1)
        verdict = await check_once(inner, self._action.check, prefix, scored)
        if not told:
            await self._tell(number, verdict)
        return verdict

    async def _tell(self, number: int, verdict: Verdict) -> None:
        attempted = GoalSeekAttempted(
            **self._runner.door.place.at(self._path, self._try),
            number=number,
            score=verdict.completion,
            threshold=self._threshold,
            gaps=verdict.gaps,
        )
        await self._runner.door.recorder.note(attempted)

    def _roots(self, number: int) -> Mapping[str, Any]:
        """What texts of a round can read: the goal, where the search stands, and the last verdict."""
        verdict = self._rounds[-1].verdict if self._rounds else _UNCHECKED
        return {
            "goal_seek": self.fields(),
            "attempt": number,
            "validation": verdict.variables(len(self._rounds)),
            "check": {"output": verdict.output, "exit_code": verdict.exit_code},
        }

    @property
    def _score(self) -> float:
        return self._rounds[-1].verdict.completion if self._rounds else 0.0

    def fields(self) -> dict[str, Any]:
        """The fields of ``${goal_seek.…}``."""
        score = self._score
        return {
            "goal": self._goal,
            "score": int(score) if score == int(score) else score,
            "attempts": self._attempts,
            "status": self.status,
            "threshold": self._threshold,
            "max_attempts": self._limit,
        }

    def failure(self) -> Failure:
        """Why the goal was not reached."""
        reason = _REASONS[self.status]
        message = (
            f"Goal `{self._goal}` reached {self._score:g} of {self._threshold:g} points after"
            f" {self._attempts} {'attempt' if self._attempts == 1 else 'attempts'}: {reason}"
        )
        trouble = self._rounds[-1].trouble if self._rounds else None
        if trouble is not None:
            message += f"; the last attempt failed: {trouble.message}"
        said = self._rounds[-1].verdict.output if self._rounds else ""
        return Failure(error_class="validation-failed", message=message, stdout_tail=said[-4096:])
