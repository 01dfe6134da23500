"""What a step's captures hold, once it has ended.

Pure. A text that does not parse fails a step that succeeded; of a step that failed anyway it is null.
"""

import math
import re
from collections.abc import Iterator
from typing import Any, Final

import msgspec
from msgspec import Struct

from prodigy.events import Captured
from prodigy.steps.durable import Done, Texts
from prodigy.workflow.model import Capture, Step
from prodigy.workflow.patterns import find_pattern
from prodigy.workflow.values import LARGEST_INTEGER, TemplateError

OF_TEXT: Final = frozenset({"stdout", "stderr", "both", "json", "pattern"})
"""Sources that read what the step printed."""
OF_ONE: Final = OF_TEXT - {"both"}
"""Sources that read one of the two streams."""
_WORDS: Final = {"true": True, "yes": True, "1": True, "false": False, "no": False, "0": False}
_SHOWN = 60
_INTEGER = re.compile(r"[-+]?\d+", re.ASCII)
_LONG_INTEGER = re.compile(r"\d{19}", re.ASCII)


class CaptureError(Exception):
    """A capture has no value; the text says why."""


class Facts(Struct, frozen=True):
    """How a step ended: its exit code if it had one, whether it succeeded, seconds."""

    exit_code: int | None
    success: bool
    duration: float


def reads_text(step: Step) -> bool:
    """Whether the captures of a step, or its ``output_file``, need what it printed in full."""
    of_text = any(capture.source in OF_TEXT or set(capture.fields) & OF_TEXT for capture in step.captures)
    return of_text or step.output_file is not None


def in_one(step: Step, read_apart: frozenset[str]) -> bool:
    """Whether a step's two streams are wanted in the order in which they were written, and nobody wants one of them alone.

    Args:
        step: it runs a command.
        read_apart: names of which some text reads one stream.
    """
    if not any(capture.source == "both" for capture in step.captures):
        return False
    alone = any(capture.source in OF_ONE for capture in step.captures) or step.output_file is not None
    names = {
        step.id,
        step.kind,
        "shell",
        "last",
        *(capture.name.rpartition(".")[2] for capture in step.captures),
    }
    return not alone and names.isdisjoint(read_apart)


def take(captures: tuple[Capture, ...], done: Done, facts: Facts) -> dict[str, Captured]:
    """Every capture's value, by name.

    Raises:
        CaptureError: the step succeeded, and a capture has no value.
    """
    return dict(_taken(captures, done, facts))


def whole(done: Done) -> Texts:
    """What the action printed.

    Raises:
        CaptureError: it is more than may be kept.
    """
    texts = done.texts
    if texts is None:
        out, err = done.stdout, done.stderr
        texts = Texts(stdout=out.tail, stderr=err.tail, both=f"{out.tail}{err.tail}", cut=out.cut or err.cut)
    if texts.cut:
        raise CaptureError(f"it printed more than `max_capture` allows; all of it is in {done.stdout.log}")
    return texts


def parsed(text: str, form: str) -> Any:
    """A text as ``capture_format`` reads it.

    Raises:
        CaptureError: it does not parse.
    """
    match form:
        case "raw":
            return text
        case "lines":
            return text.splitlines()
        case "json":
            return _json(text)
        case "number":
            return _number(_last_line(text))
        case "boolean":
            word = _last_line(text)
            if word.lower() not in _WORDS:
                raise CaptureError(f"{_short(word)} is neither true nor false")
            return _WORDS[word.lower()]
        case _:
            return text.rstrip("\r\n")


def _taken(captures: tuple[Capture, ...], done: Done, facts: Facts) -> Iterator[tuple[str, Captured]]:
    for capture in captures:
        try:
            value = _value(capture, done, facts)
            fields: dict[str, Any] = {field: _plain(field, done, facts) for field in capture.fields}
        except (CaptureError, TemplateError) as error:
            if facts.success:
                reason = error.message if isinstance(error, TemplateError) else str(error)
                raise CaptureError(f"`{capture.name}` could not be captured: {reason}") from None
            value, fields = None, {}
        yield capture.name, Captured(value=value, fields=fields)


def _value(capture: Capture, done: Done, facts: Facts) -> Any:
    match capture.source:
        case "exit_code" | "success" | "duration":
            return _plain(capture.source, done, facts)
        case "json":
            return at_path(capture.argument or "", _json(whole(done).stdout))
        case "pattern":
            found = find_pattern(capture.argument or "", whole(done).stdout)
            if found is None:
                raise CaptureError(f"nothing matches /{capture.argument}/")
            return parsed(found.value, capture.format)
        case "stdout" if capture.format == "json" and _structured(done) is not None:
            return _structured(done)
        case source:
            return parsed(getattr(whole(done), source), capture.format)


def _plain(field: str, done: Done, facts: Facts) -> Any:
    """One of the fields that every step has."""
    if field in {"exit_code", "success", "duration"}:
        return getattr(facts, field)
    return parsed(getattr(whole(done), field), "string")


def _structured(done: Done) -> Any:
    """The typed value that a Claude step gave beside its text."""
    return done.value.get("structured") if isinstance(done.value, dict) else None


def at_path(path: str, root: Any) -> Any:
    """What a JSONPath leads to: the value, or a list if it may lead to several.

    Raises:
        CaptureError: nothing is there, or it is no path.
    """
    from prodigy.workflow.json_path import BadJsonPath, find

    try:
        found = find(path, root)
    except BadJsonPath as error:
        raise CaptureError(f"{path} is not a JSONPath: {error}") from None
    if not found.values:
        raise CaptureError(f"nothing is at {path}")
    return found.values[0] if found.singular else list(found.values)


def _json(text: str) -> Any:
    try:
        value = msgspec.json.decode(text)
        return _recordable(value) if _LONG_INTEGER.search(text) else value
    except (msgspec.DecodeError, RecursionError, OverflowError) as error:
        raise CaptureError(f"{_short(text.strip())} is not JSON: {error}") from None


def _number(word: str) -> int | float:
    try:
        number = float(word)
        whole_number = int(word) if _INTEGER.fullmatch(word) else None
    except ValueError:
        number, whole_number = math.nan, None
    if not math.isfinite(number):
        raise CaptureError(f"{_short(word)} is not a number")
    return number if whole_number is None else _recordable(whole_number)


def _recordable(value: Any) -> Any:
    match value:
        case int() if abs(value) > LARGEST_INTEGER:
            return float(value)
        case list():
            return [_recordable(part) for part in value]
        case dict():
            return {key: _recordable(part) for key, part in value.items()}
        case _:
            return value


def _last_line(text: str) -> str:
    return next((line.strip() for line in reversed(text.splitlines()) if line.strip()), "")


def _short(text: str) -> str:
    return repr(text if len(text) <= _SHOWN else f"{text[:_SHOWN]}…")
