"""``write_file``, from marked nodes to the model.

Pure.
"""

import re
from typing import Any, Literal

from prodigy.workflow.fields import Field, Fields, Reader
from prodigy.workflow.language_steps import WRITE_FILE
from prodigy.workflow.model import Text, WriteFile
from prodigy.workflow.nodes import Scalar, value_of
from prodigy.workflow.parse_nested import Nested
from prodigy.workflow.problems import quoted
from prodigy.workflow.worktree_path import leaves_worktree

_FORMATS: tuple[Literal["text", "json", "yaml"], ...] = ("text", "json", "yaml")
_MODE = re.compile(r"(?:0o?)?([0-7]{1,4})", re.ASCII)
MODE = 0o644


def read_write_file(nested: Nested, entry: Field, _fields: Fields) -> WriteFile:
    """The action."""
    reader = nested.reader
    fields = reader.inside(entry, WRITE_FILE)
    get = fields.get
    written_as = reader.choice(get("format"), _FORMATS) or "text"
    content, data = _content(reader, entry, fields, written_as)
    return WriteFile(
        path=_path(nested, entry, fields),
        content=content,
        data=data,
        format=written_as,
        mode=_mode(reader, get("mode")),
        create_dirs=reader.boolean(get("create_dirs")) or False,
        append=reader.boolean(get("append")) or False,
    )


def read_path(reader: Reader, entry: Field | None) -> Text | None:
    """A path of a file that Prodigy writes: one that leaves the worktree is a problem."""
    text = reader.filled(entry)
    if entry is None or text is None:
        return None
    if leaves_worktree(text):
        message = f"{quoted(text)} leads out of the worktree"
        reader.problems.error("path-outside-worktree", message, entry.value, "write a path relative to it")
    return Text(text, reader.mark(entry.value))


def _path(nested: Nested, entry: Field, fields: Fields) -> Text:
    if not fields.attempted(("path",)):
        nested.reader.problems.error("missing-key", "`write_file` needs a `path`", entry.key)
    return read_path(nested.reader, fields.get("path")) or Text("", nested.mark(entry.value))


def _content(reader: Reader, entry: Field, fields: Fields, written_as: str) -> tuple[Text | None, Any]:
    """The text, or the data that is written as JSON or YAML."""
    content = fields.get("content")
    if content is None:
        if not fields.attempted(("content",)):
            message = "`write_file` needs `content`"
            reader.problems.error("missing-key", message, entry.key, 'write `content: ""` for an empty file')
        return Text("", reader.mark(entry.value)), None
    if isinstance(content.value, Scalar):
        return reader.text_node(content), None
    if written_as == "text" and (fields.get("format") is not None or not fields.attempted(("format",))):
        message = "a mapping or a list cannot be written as text"
        reader.problems.error("bad-value", message, content.value, "say `format: json` or `format: yaml`")
    return None, value_of(content.value)


def _mode(reader: Reader, entry: Field | None) -> int:
    text = reader.text(entry)
    if entry is None or text is None:
        return MODE
    match = _MODE.fullmatch(text.strip())
    if match is None:
        message = f"{quoted(text)} is no mode of a file"
        reader.problems.error("bad-value", message, entry.value, 'octal digits, e.g. `mode: "0755"`')
        return MODE
    return int(match[1], 8)
