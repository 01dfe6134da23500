"""What actions that hold steps have in common: running them, and reading what they left."""

from pathlib import Path
from typing import Any

from prodigy.events import Failure, StepFailed, Stream
from prodigy.steps.durable import LeafFailed
from prodigy.steps.output import TAIL
from prodigy.steps.protocol import Outcome
from prodigy.steps.runner import Runner, StepFailure
from prodigy.workflow.model import Step
from prodigy.workflow.template import render_value
from prodigy.workflow.values import TemplateError, UndefinedVariable

MAX_VARIABLE = 64 * 1024
"""Bytes of a text that is passed on in an environment variable."""


async def attempted(runner: Runner, steps: tuple[Step, ...], prefix: str) -> Failure | None:
    """Run steps; why they failed, if they did.

    Raises:
        LeafFailed: the place to run them in is gone, which is nothing that an action could get over.
    """
    try:
        await runner.run(steps, prefix)
    except StepFailure as failed:
        if failed.failure.error_class == "host-lost":
            raise LeafFailed(failed.failure) from None
        return failed.failure
    return None


def output_of(outcome: Outcome | None) -> str:
    """The whole standard output of a finished step, without trailing newlines; of Claude, its last words."""
    if outcome is None:
        return ""
    text = outcome.stdout.tail if outcome.kind == "claude" else whole_text(outcome.stdout)
    return text.rstrip("\n")


def whole_text(stream: Stream) -> str:
    """All that a command printed, from its log if that is more than is in memory."""
    if not stream.cut or stream.log is None:
        return stream.tail
    return Path(stream.log).read_text("utf-8", "replace")


def exit_code_of(outcome: Outcome | None) -> int | None:
    """The exit code of a finished step; ``None`` if it failed otherwise than by exiting."""
    if isinstance(outcome, StepFailed):
        return outcome.error.exit_code
    return 0 if outcome is None else outcome.exit_code


def stream_of(text: str, log: str | None = None) -> Stream:
    """A text as if a command had printed it; ``log`` is a file that holds what it was made from."""
    whole = text.encode("utf-8", "replace")
    tail = whole[-TAIL:]
    return Stream(size=len(whole), tail=tail.decode("utf-8", "ignore"), cut=len(tail) < len(whole), log=log)


def for_environment(text: str) -> str:
    """A text that fits into an environment variable: cut at the end of a line, with a mark, and without NULs."""
    whole = text.replace("\0", "").encode("utf-8", "replace")
    if len(whole) <= MAX_VARIABLE:
        return whole.decode()
    mark = f"[cut: {len(whole)} bytes in all]"
    kept = whole[: MAX_VARIABLE - len(mark) - 1]
    kept = kept[: kept.rfind(b"\n")] if b"\n" in kept else kept
    return f"{kept.decode('utf-8', 'ignore')}\n{mark}"


def typed(runner: Runner, source: str) -> Any:
    """What a text stands for: a text that is one reference, and nothing else, is the value with its type.

    Raises:
        LeafFailed: it cannot be filled in.
    """
    try:
        return render_value(source, runner.variables)
    except TemplateError as error:
        raise unfilled(error) from None


def unfilled(error: TemplateError) -> LeafFailed:
    """The failure of a step whose text cannot be filled in."""
    undefined = isinstance(error, UndefinedVariable)
    message = error.message if error.hint is None else f"{error.message}: {error.hint}"
    return LeafFailed(
        Failure(error_class="undefined-variable" if undefined else "bad-value", message=message)
    )
