"""``setup.capture_outputs``: the values that later phases get from a phase's steps.

Pure. Whether a name is one of the language is for the checker to say; here it only has to look like a name.
"""

from typing import Literal

from prodigy.workflow.fields import Field, Reader
from prodigy.workflow.language import PHASE_OUTPUT
from prodigy.workflow.model import PhaseOutput, Step
from prodigy.workflow.nodes import Listing, Mapping, Scalar
from prodigy.workflow.parse_capture import is_variable_name
from prodigy.workflow.problems import quoted

Source = Literal["stdout", "stderr", "both"]
Format = Literal["string", "raw", "json", "lines", "number", "boolean"]
Multiline = Literal["preserve", "join", "first_line", "last_line", "array"]

_SOURCES: tuple[Source, ...] = ("stdout", "stderr", "both")
_ALSO_SOURCES: dict[str, Source] = {"combined": "both"}
_FORMATS: tuple[Format, ...] = ("string", "raw", "json", "lines", "number", "boolean")
_ALSO_FORMATS: dict[str, Format] = {"text": "string"}
_MULTILINE: tuple[Multiline, ...] = ("preserve", "join", "first_line", "last_line", "array")
_STANDARD = PhaseOutput(name="", step=0)


def read_phase_outputs(
    reader: Reader, entry: Field | None, steps: tuple[Step, ...]
) -> tuple[PhaseOutput, ...]:
    """Names with where their values come from, or a list of ids that are names as well."""
    if entry is None:
        return ()
    if isinstance(entry.value, Listing):
        ids = [element for element in reader.each(entry) if reader.filled(element)]
        named = [Field(one.value.text, one.value, one.value) for one in ids if isinstance(one.value, Scalar)]
    else:
        named = reader.given(entry)
    found = (_output(reader, one, steps) for one in named if is_variable_name(reader, one))
    return tuple(output for output in found if output is not None)


def _output(reader: Reader, entry: Field, steps: tuple[Step, ...]) -> PhaseOutput | None:
    mark = reader.mark(entry.key)
    if not isinstance(entry.value, Mapping):
        step = _step(reader, entry, steps)
        return None if step is None else PhaseOutput(name=entry.name, step=step, mark=mark)
    fields = reader.fields(entry.value, PHASE_OUTPUT)
    get = fields.get
    step = _step(reader, get("step"), steps)
    if step is None:
        if not fields.attempted(("step",)):
            hint = "a step's index from 0, its id or its name"
            reader.problems.error("missing-key", f"{quoted(entry.name)} needs `step`", entry.key, hint)
        step = 0
    max_size = reader.fixed_size(get("max_size"))
    return PhaseOutput(
        name=entry.name,
        step=step,
        source=reader.choice(get("source"), _SOURCES, _ALSO_SOURCES) or _STANDARD.source,
        pattern=reader.pattern(get("pattern")),
        json_path=reader.json_path(get("json_path")),
        format=reader.choice(get("format"), _FORMATS, _ALSO_FORMATS) or _STANDARD.format,
        max_size=_STANDARD.max_size if max_size is None else max_size,
        default=reader.data(get("default")),
        has_default=get("default") is not None,
        multiline=reader.choice(get("multiline"), _MULTILINE) or _STANDARD.multiline,
        mark=mark,
    )


def _step(reader: Reader, entry: Field | None, steps: tuple[Step, ...]) -> int | str | None:
    """A step that is there, by its index from 0, its id or its name."""
    text = reader.filled(entry)
    if entry is None or text is None:
        return None
    if text.strip().isdecimal():
        index = reader.integer(entry, 0)
        if index is not None and index >= len(steps):
            message = f"the phase has no step {index}: it has {len(steps)}, counted from 0"
            reader.problems.error("bad-reference", message, entry.value)
        return index
    if not any(text in {step.id, step.name} for step in steps):
        message = f"no step of the phase has the id or name {quoted(text)}"
        reader.problems.error("bad-reference", message, entry.value)
    return text
