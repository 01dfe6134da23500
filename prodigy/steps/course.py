"""One step on its way: which it is, how often it was tried, and what is settled for the try that runs."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Protocol

from msgspec import Struct, structs

from prodigy.events import Failure, StepFailed
from prodigy.steps.protocol import Outcome
from prodigy.steps.runner import Runner
from prodigy.steps.stage import Stage
from prodigy.workflow.model import Environment, Handler, Step


class Tried(Struct, frozen=True):
    """What came of running a step: the outcome of its last try, and why the step failed, if it did.

    ``fatal`` is a failure that nothing may tolerate.
    """

    outcome: Outcome
    failure: Failure | None
    fatal: bool = False


@dataclass
class Course:
    """A step that runs.

    Attributes:
        written: the step as it is written.
        path: its stable path.
        index: its place in its list, from 0.
        before: the commit that the worktree stood on when it began.
        step: the step with its values settled for the try.
        round: how often it was begun: 1, then once more for each proof of a repair.
        try_: how often it was run; each run of ``retry`` counts.
        trouble: why the try cannot run, found while it was prepared.
        environment: of its processes.
        command: what it runs, for people.
    """

    written: Step
    path: str
    index: int
    before: str
    step: Step = field(init=False)
    round: int = 0
    try_: int = 0
    trouble: Failure | None = None
    environment: dict[str, str] = field(default_factory=dict)
    command: str = ""

    def __post_init__(self) -> None:
        self.step = self.written

    @property
    def handler(self) -> Handler | None:
        """What answers a failure: ``on_failure``, or else what ``retry`` says of its last run."""
        step = self.step
        if step.on_failure is not None or step.retry is None:
            return step.on_failure
        match step.retry.on_failure:
            case "stop":
                return None
            case "continue":
                return Handler(max_attempts=0, fail_workflow=False)
            case "fallback":
                return Handler(steps=step.retry.fallback, strategy="fallback")

    def named(self, failure: Failure) -> Failure:
        """A failure that says which step it is of."""
        return structs.replace(failure, step=self.path, step_name=self.step.label)

    def tried(self, outcome: Outcome) -> Tried:
        """What the outcome of a try alone says."""
        failure = self.named(outcome.error) if isinstance(outcome, StepFailed) else None
        return Tried(outcome, failure)


class Walker(Runner, Protocol):
    """The interpreter, for the parts of it that stand in other modules."""

    stage: Stage
    commits: bool
    layers: tuple[Environment, ...]
    ours: dict[str, str]

    def nested(self, ours: Mapping[str, str] | None = None) -> "Walker":
        """A runner for a list that belongs to a step of ours; captures are shared."""
        ...

    async def attempt(self, course: Course) -> Tried:
        """Run a step with its retries and look at what it left."""
        ...

    async def warn(self, course: Course, code: str, message: str) -> None:
        """Say that something is odd about a step."""
        ...

    @property
    def current(self) -> Course:
        """The step that runs."""
        ...
