"""What an action that holds steps of its own (``foreach``, ``goal_seek``, ``validate`` …) needs of its interpreter.

An action is ``async def NAME(runner, step, action, path, try_) -> Done`` and raises ``LeafFailed``. It runs inside the
leaf ``path``/``try_`` of the door; its own leaves hang below ``durable.below(path, try_)``. ``step`` and ``action`` are
settled: no value in them is ``Deferred`` any more, except in the steps that they hold.
"""

from collections.abc import Callable, Mapping
from typing import Any, Protocol

from msgspec import Struct

from prodigy.events import Failure, Stream
from prodigy.steps.durable import Done, Door
from prodigy.steps.patience import Listener
from prodigy.steps.protocol import Outcome
from prodigy.steps.variables import Variables
from prodigy.workflow.model import Environment, Step, Text


class StepFailure(Exception):
    """A step failed and nothing repaired it."""

    def __init__(self, failure: Failure) -> None:
        super().__init__(failure.message)
        self.failure = failure


class Program(Struct, frozen=True, kw_only=True):
    """A program to run in the step's folder, under its time limits: what is executed and what it reads."""

    argv: tuple[str, ...]
    env: Mapping[str, str]
    """The whole environment; start from ``Runner.environment``."""
    stdin: bytes = b""
    claude_session: str | None = None
    """The conversation that it begins, if it is Claude."""
    excerpt: Callable[[bytes], bytes] | None = None
    """What of each chunk of its standard output goes to its log; ``None``: all of it."""


class Ended(Struct, frozen=True, kw_only=True):
    """How a program ended: ``failure`` is ``None`` if it exited with 0, in time and within its limits, or said enough."""

    failure: Failure | None
    exit_code: int | None
    stdout: Stream
    stderr: Stream


class Runner(Protocol):
    """Runs step lists inside another step, in the same worktree."""

    @property
    def door(self) -> Door:
        """Through which every leaf acts."""
        ...

    @property
    def variables(self) -> Variables:
        """What texts can read here."""
        ...

    @property
    def worktree(self) -> str:
        """Absolute path of the agent's worktree."""
        ...

    @property
    def last(self) -> Outcome | None:
        """The outcome of the step that finished last in this runner, whether it failed or not."""
        ...

    async def run(self, steps: tuple[Step, ...], prefix: str) -> None:
        """Run steps in order under paths ``{prefix}1``, ``{prefix}2`` …; raises ``StepFailure`` at the first that stays failed."""
        ...

    def inside(
        self,
        roots: Mapping[str, Any],
        *,
        commits: bool = True,
        environment: Mapping[str, str] | None = None,
        layer: Environment | None = None,
        isolated: bool = False,
    ) -> "Runner":
        """A runner whose steps read ``roots`` over our variables, and whose captures and ids stay within it.

        Runners made without ``commits`` may run at the same time as each other, each in a process slot of its own.

        Args:
            roots: further variables.
            commits: whether its steps commit what they leave; without it everything is left to the outer step.
            environment: further variables of its steps' processes, over all layers; names of ours.
            layer: a layer of the workflow's own environment, below those of the steps.
            isolated: whether its steps see ``roots`` and what is built in, but nothing that we captured.
        """
        ...

    @property
    def head(self) -> str:
        """The commit that the worktree stands on."""
        ...

    async def changed_since(self, head: str) -> bool:
        """Whether there is a commit since ``head`` whose tree differs from it."""
        ...

    @property
    def logs(self) -> str:
        """Absolute path of the folder of the attempt's logs."""
        ...

    def text(self, text: Text | str) -> str:
        """A plain text with its references filled in; raises ``LeafFailed`` where that cannot be done."""
        ...

    def environment(self, step: Step) -> dict[str, str]:
        """The whole environment of the processes of a step that is being run."""
        ...

    async def script(self, script: str, *, path: str, timeout: float | None = None) -> Done:
        """Run a script, its references already filled in, as a leaf of its own; raises ``LeafFailed``."""
        ...

    async def launch(
        self, program: Program, step: Step, *, path: str, try_: int, listen: Listener | None = None
    ) -> Ended:
        """Run a program within the leaf ``path``/``try_``, which is under way; its output goes to the leaf's logs.

        The step's ``timeout``, ``idle_timeout`` (seconds without output), ``limits`` and ``working_dir`` hold.
        Raises ``LeafFailed`` if it cannot be started.
        """
        ...
