"""The variables that a step's text can read, as the run goes on.

One ``Variables`` per agent: the roots it was given (``item``, ``map``, ``workflow`` …), and what the steps leave
behind: ``shell.*`` and ``last.*`` for the last finished step, ``ID.*`` for steps with an id, ``error.*`` and
``handler.*`` inside handlers. It is the ``Scope`` that ``workflow.template`` renders with.
"""

from collections.abc import Iterable, Mapping
from typing import Any

from prodigy.events import Failure, StepFailed
from prodigy.steps.protocol import Outcome
from prodigy.workflow.model import Step
from prodigy.workflow.scope import UNDEFINED, Path, resolve, resolve_item

LATER = frozenset({"shell", "last", "step", "error", "handler"})
"""Names that steps give values to; they are ours before any step has run."""


class Variables:
    """Roots by name; values are plain JSON values."""

    def __init__(self, roots: Mapping[str, Any]) -> None:
        self._roots = dict(roots)

    # -- the scope -------------------------------------------------------------------------------------------------
    def knows(self, root: str) -> bool:
        """Whether ``root`` is a variable at all, defined or not yet."""
        return root in self._roots or root in LATER

    def names(self) -> Iterable[str]:
        """All roots, for "did you mean"."""
        return self._roots.keys() | LATER

    def lookup(self, path: Path) -> Any:
        """The value at ``path``, or ``UNDEFINED``."""
        root, *rest = path
        value = self._roots.get(str(root), UNDEFINED)
        if value is UNDEFINED:
            return UNDEFINED
        return resolve_item(value, rest) if root == "item" else resolve(value, rest)

    # -- what the steps leave ----------------------------------------------------------------------------------------
    def finished(self, step: Step, outcome: Outcome, attempt: int) -> None:
        """Make a finished step readable as ``KIND``, ``last``, ``step`` and its id."""
        self._set(step, outcome, step_fields(outcome, attempt))

    def _set(self, step: Step, outcome: Outcome, fields: dict[str, Any]) -> None:
        for root in (step.kind, "last", step.id):
            if root is not None:
                self._roots[root] = fields
        self._roots["step"] = {
            "name": step.label,
            "index": int(outcome.step.rpartition(".")[2]) - 1,
            "id": step.id,
            "attempt": outcome.try_,
        }

    def failing(self, step: Step, outcome: Outcome, failure: Failure, attempt: int) -> None:
        """Set the scene for a handler: ``error.*``, and ``shell.output`` as stdout then stderr."""
        fields = step_fields(outcome, attempt)
        fields["output"] = joined(outcome.stdout.tail, outcome.stderr.tail)
        self._set(step, outcome, fields)
        self._roots["error"] = {
            "message": failure.message,
            "exit_code": failure.exit_code,
            "signal": failure.signal,
            "step": failure.step_name or step.label,
            "class": failure.error_class,
            "log": failure.logs[0] if failure.logs else None,
        }

    def in_handler(self, attempt: int, max_attempts: int) -> None:
        """Set ``handler.*`` for a round."""
        self._roots["handler"] = {"attempt": attempt, "max_attempts": max_attempts}


def step_fields(outcome: Outcome, attempt: int) -> dict[str, Any]:
    """``output stdout stderr exit_code success duration attempt`` of a finished step; duration in seconds."""
    failed = isinstance(outcome, StepFailed)
    code = outcome.error.exit_code if isinstance(outcome, StepFailed) else outcome.exit_code
    output = outcome.stdout.tail.rstrip("\n")
    if outcome.stdout.cut:
        kept = len(outcome.stdout.tail.encode())
        output = f"[the first {outcome.stdout.size - kept} bytes are only in {outcome.stdout.log}]\n{output}"
    return {
        "output": output,
        "stdout": outcome.stdout.tail.rstrip("\n"),
        "stderr": outcome.stderr.tail.rstrip("\n"),
        "exit_code": code,
        "success": not failed,
        "duration": outcome.duration_ms / 1000,
        "attempt": attempt,
    }


def joined(*streams: str) -> str:
    """Streams one after the other, each without its trailing newlines."""
    return "\n".join(text for text in (stream.rstrip("\n") for stream in streams) if text)
