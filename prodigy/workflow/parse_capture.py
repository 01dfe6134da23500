"""What a step keeps of its result: ``capture`` and its relatives, and ``outputs``.

Pure. Whether a name is one of the language is for the checker to say; here it only has to look like a name.
"""

import re
from typing import Literal

from msgspec import Struct, structs

from prodigy.workflow.fields import Field, Fields, Reader
from prodigy.workflow.language_steps import OUTPUT, STREAMS
from prodigy.workflow.model import Capture, OutputFile
from prodigy.workflow.nodes import Mapping, Node, Scalar
from prodigy.workflow.problems import quoted

Source = Literal["stdout", "stderr", "both", "exit_code", "success", "duration", "json", "pattern"]
Format = Literal["string", "raw", "json", "lines", "number", "boolean"]
Extra = Literal["exit_code", "success", "duration", "stdout", "stderr"]

NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_-]*", re.ASCII)
_DOTTED = re.compile(rf"{NAME.pattern}(?:\.(?:{NAME.pattern}|\d+))*", re.ASCII)

_SOURCES: dict[str, Source] = {
    "stdout": "stdout", "stderr": "stderr", "both": "both", "combined": "both", "exit_code": "exit_code",
    "success": "success", "duration": "duration",
}  # fmt: skip
_STREAMS: tuple[Source, ...] = ("stdout", "stderr", "both")
_ALSO_STREAMS: dict[str, Source] = {"combined": "both"}
_FORMATS: tuple[Format, ...] = ("string", "raw", "json", "lines", "number", "boolean")
_ALSO_FORMATS: dict[str, Format] = {"text": "string"}
_FORMATTED = frozenset({"stdout", "stderr", "both", "pattern"})
"""Sources that are text, and so can be read in a format."""
FACTS: tuple[Extra, ...] = ("exit_code", "success", "duration")
EXTRAS: tuple[Extra, ...] = (*FACTS, "stdout", "stderr")


class Capturing(Struct, frozen=True):
    """The variables that a step sets, and whether it also sets ``${KIND.output}``."""

    captures: tuple[Capture, ...] = ()
    keep_output: bool = True


class _Streams(Struct, frozen=True):
    """What ``capture_streams`` asks for."""

    source: Source = "stdout"
    fields: tuple[Extra, ...] = EXTRAS


def read_captures(reader: Reader, fields: Fields) -> Capturing:
    """``capture``, ``capture_output``, ``capture_format`` and ``capture_streams`` of one mapping."""
    entry, keep_output = _named(reader, fields)
    read_as = reader.choice(fields.get("capture_format"), _FORMATS, _ALSO_FORMATS) or "string"
    streams = _streams(reader, fields.get("capture_streams"))
    if entry is None:
        _nothing_captured(reader, fields)
        return Capturing((), keep_output)
    if isinstance(entry.value, Mapping):
        _sources_given(reader, fields)
        found = [_from_mapping(reader, item, read_as) for item in reader.named(entry)]
    else:
        found = [_one(reader, entry, read_as, streams)]
    return Capturing(tuple(capture for capture in found if capture is not None), keep_output)


def read_outputs(reader: Reader, fields: Fields) -> tuple[OutputFile, ...]:
    """``outputs``: files by name, each a glob or ``{file_pattern: GLOB}``."""
    entry = fields.get("outputs")
    if entry is not None and not fields.attempted(("id",)):
        hint = "they are read as `${ID.NAME}`"
        reader.problems.error("missing-key", "a step with `outputs` needs an `id`", entry.key, hint)
    found = (_output(reader, item) for item in reader.named(entry))
    return tuple(output for output in found if output is not None)


def is_variable_name(reader: Reader, entry: Field) -> bool:
    """Whether the name of a field can be a variable's; it is reported if not."""
    if NAME.fullmatch(entry.name):
        return True
    hint = "a name starts with a letter or `_` and goes on with letters, digits, `_` and `-`"
    reader.problems.error("bad-value", f"{quoted(entry.name)} cannot be a variable's name", entry.key, hint)
    return False


def _named(reader: Reader, fields: Fields) -> tuple[Field | None, bool]:
    """The field that names what is captured, and whether the plain output is kept."""
    capture, old = fields.get("capture"), fields.get("capture_output")
    if old is None or not isinstance(old.value, Scalar):
        if old is not None:
            reader.wrong_type(old.value, "`capture_output`", "`true`, `false` or a name")
        return capture, True
    if old.value.text.strip().lower() in {"true", "false"}:
        return capture, reader.boolean(old) is not False
    if capture is not None:
        message = "`capture` and `capture_output` both name a variable"
        reader.problems.error("conflicting-keys", message, old.key, "keep one of them")
    return capture or old, True


def _nothing_captured(reader: Reader, fields: Fields) -> None:
    for name in ("capture_format", "capture_streams"):
        entry = fields.get(name)
        if entry is not None:
            reader.no_effect(entry.key, f"{quoted(entry.key.text)} has no effect: nothing is captured")


def _sources_given(reader: Reader, fields: Fields) -> None:
    entry = fields.get("capture_streams")
    if entry is not None:
        reader.no_effect(entry.key, "`capture_streams` has no effect: `capture` says what each name holds")


def _one(reader: Reader, entry: Field, read_as: Format, streams: _Streams) -> Capture | None:
    text = reader.text(entry)
    if text is None or not _is_name(reader, text, entry.value):
        return None
    mark = reader.mark(entry.value)
    return Capture(name=text, source=streams.source, format=read_as, fields=streams.fields, mark=mark)


def _from_mapping(reader: Reader, item: Field, read_as: Format) -> Capture | None:
    text = reader.text(item)
    if not _is_name(reader, item.name, item.key) or text is None:
        return None
    capture = Capture(name=item.name, fields=EXTRAS, mark=reader.mark(item.key))
    capture = _with_source(reader, capture, text.strip(), item)
    return structs.replace(capture, format=read_as) if capture.source in _FORMATTED else capture


def _with_source(reader: Reader, capture: Capture, text: str, item: Field) -> Capture:
    if text in _SOURCES:
        return structs.replace(capture, source=_SOURCES[text])
    if text.startswith("json:"):
        path = text.removeprefix("json:").strip()
        reader.json_path(Field(item.name, item.key, _part(item.value, path)))
        return structs.replace(capture, source="json", argument=path)
    if len(text) > 1 and text[0] == text[-1] == "/":
        pattern = reader.pattern(Field(item.name, item.key, _part(item.value, text[1:-1])))
        return structs.replace(capture, source="pattern", argument=pattern or "")
    hint = "write `stdout`, `stderr`, `both`, `exit_code`, `success`, `duration`, `json:PATH` or `/REGEX/`"
    reader.no_effect(item.value, f"{quoted(text)} is no source: standard output is captured", hint)
    return capture


def _part(node: Node, text: str) -> Node:
    return structs.replace(node, text=text)


def _is_name(reader: Reader, text: str, at: Node) -> bool:
    if _DOTTED.fullmatch(text):
        return True
    hint = "a name starts with a letter or `_` and goes on with letters, digits, `_` and `-`"
    reader.problems.error("bad-value", f"{quoted(text)} cannot be the name of a variable", at, hint)
    return False


def _streams(reader: Reader, entry: Field | None) -> _Streams:
    """One stream by name, or a mapping of what is wanted to ``true`` or ``false``."""
    if entry is None:
        return _Streams()
    if not isinstance(entry.value, Mapping):
        return _Streams(reader.choice(entry, _STREAMS, _ALSO_STREAMS) or "stdout")
    fields = reader.fields(entry.value, STREAMS)
    wanted = {name: reader.boolean(fields.get(name)) for name in EXTRAS}
    on = {name for name, flag in wanted.items() if (name != "stderr" if flag is None else flag)}
    kept = tuple(name for name in EXTRAS if name in on)
    if {"stdout", "stderr"} <= on:
        return _Streams("both", kept)
    for name in ("stdout", "stderr", *FACTS):
        if name in on:
            return _Streams(_SOURCES[name], kept)
    reader.problems.error("bad-value", "`capture_streams` leaves nothing to capture", entry.value)
    return _Streams()


def _output(reader: Reader, item: Field) -> OutputFile | None:
    pattern = item
    if isinstance(item.value, Mapping):
        fields = reader.fields(item.value, OUTPUT)
        found = fields.get("file_pattern")
        if found is None:
            if not fields.attempted(("file_pattern",)):
                message = f"the output {quoted(item.name)} needs `file_pattern`"
                reader.problems.error("missing-key", message, item.key)
            return None
        pattern = found
    text = reader.filled(pattern)
    if text is None:
        return None
    if not NAME.fullmatch(item.name):
        reader.problems.error("bad-value", f"{quoted(item.name)} cannot be the name of an output", item.key)
        return None
    return OutputFile(name=item.name, pattern=text, mark=reader.mark(pattern.value))
