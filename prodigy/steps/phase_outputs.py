"""``capture_outputs`` of setup: values of a phase's steps that later phases can read.

Pure. ``capturing`` makes the steps concerned keep what they print; ``values`` reads the outputs from that afterwards.
"""

from collections.abc import Mapping, Sequence
from typing import Any, Final, Literal

from msgspec import structs

from prodigy.steps.captures import CaptureError, parsed
from prodigy.workflow.model import Capture, PhaseOutput, Step
from prodigy.workflow.values import TemplateError

FACTS: Final[tuple[Literal["exit_code", "success", "duration"], ...]] = ("exit_code", "success", "duration")
"""What can be read of the step beside each output, as in ``${NAME.exit_code}``."""


def capturing(steps: tuple[Step, ...], outputs: Sequence[PhaseOutput]) -> tuple[Step, ...]:
    """The steps with a capture for each output that reads them.

    Raises:
        CaptureError: an output names no step.
    """
    changed = list(steps)
    for output in outputs:
        place = _place(steps, output)
        capture = Capture(
            name=output.name, source=output.source, format="raw", fields=FACTS, mark=output.mark
        )
        changed[place] = structs.replace(changed[place], captures=(*changed[place].captures, capture))
    return tuple(changed)


def values(outputs: Sequence[PhaseOutput], captured: Mapping[str, Any]) -> dict[str, Any]:
    """The value of every output, from the variables that the steps left.

    Raises:
        CaptureError: an output without a default has no value.
    """
    return {output.name: _value(output, captured.get(output.name)) for output in outputs}


def _place(steps: Sequence[Step], output: PhaseOutput) -> int:
    wanted = output.step
    for place, step in enumerate(steps):
        if wanted in ({place} if isinstance(wanted, int) else {step.id, step.name}):
            return place
    raise CaptureError(f"`capture_outputs.{output.name}` reads step {wanted!r}, and there is none")


def _value(output: PhaseOutput, text: Any) -> Any:
    try:
        if not isinstance(text, str):
            raise CaptureError("its step did not run to its end")
        if len(text.encode()) > output.max_size:
            raise CaptureError(f"it is longer than {output.max_size} bytes")
        return _read(output, text)
    except (CaptureError, TemplateError) as error:
        if output.has_default:
            return output.default
        reason = error.message if isinstance(error, TemplateError) else str(error)
        raise CaptureError(f"`capture_outputs.{output.name}` has no value: {reason}") from None


def _read(output: PhaseOutput, text: str) -> Any:
    if output.pattern is not None:
        from prodigy.workflow.patterns import find_pattern

        found = find_pattern(output.pattern, text)
        if found is None:
            raise CaptureError(f"nothing matches /{output.pattern}/")
        text = found.value
    if output.json_path is not None:
        return _at_path(output.json_path, parsed(text, "json"))
    lines = text.splitlines()
    match output.multiline:
        case "array":
            return lines
        case "join":
            text = " ".join(lines)
        case "first_line":
            text = next(iter(lines), "")
        case "last_line":
            text = next(reversed(lines), "")
        case "preserve":
            pass
    return parsed(text, output.format)


def _at_path(path: str, root: Any) -> Any:
    from prodigy.workflow.json_path import BadJsonPath, find

    try:
        found = find(path, root)
    except BadJsonPath as error:
        raise CaptureError(error.message) from None
    if not found.values:
        raise CaptureError(f"nothing is at {path}")
    return found.values[0] if found.singular else list(found.values)
