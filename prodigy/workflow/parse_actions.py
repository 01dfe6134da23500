"""What a step does: every action but the compound ones, from marked nodes to the model.

Pure. An action that cannot be read still yields one, with an empty text.
"""

from collections.abc import Callable
from typing import Final

from prodigy.workflow.fields import Field, Fields, Reader
from prodigy.workflow.language_steps import (
    ANALYZE,
    CLAUDE,
    LEGACY_HANDLER,
    LEGACY_HANDLER_ATTRIBUTES,
    METADATA,
    TEST,
)
from prodigy.workflow.model import Action, Analyze, Check, Claude, Mark, Shell, Test
from prodigy.workflow.nodes import Listing, Mapping, Node, Scalar
from prodigy.workflow.parse_command import command
from prodigy.workflow.parse_foreach import read_foreach
from prodigy.workflow.parse_goal_seek import read_goal_seek
from prodigy.workflow.parse_nested import Nested, absorb
from prodigy.workflow.parse_validate import read_check, read_overrides
from prodigy.workflow.parse_write_file import read_write_file
from prodigy.workflow.problems import quoted
from prodigy.workflow.vocabulary import Vocabulary


def read_action(nested: Nested, entry: Field, fields: Fields) -> Action:
    """The action under ``entry``; options of the step that stand inside it are added to ``fields``."""
    return _READERS[entry.name](nested, entry, fields)


def read_structured(reader: Reader, fields: Fields) -> Claude | None:
    """The old form in which ``name`` is a command of Claude, with ``args`` and ``options`` behind it.

    The fields lose what has become part of the prompt; ``None`` if there is no readable name.
    """
    name = fields.get("name")
    text = reader.filled(name)
    if name is None or text is None:
        return None
    words = [
        *reader.texts(fields.found.pop("args", None)),
        *_flags(reader, fields.found.pop("options", None)),
    ]
    prompt = " ".join((command(text, reader.mark(name.value), "claude").text, *words))
    message = "a step that only has a `name` is an old form of a command of Claude"
    reader.problems.warning("deprecated-form", message, name.key, f"write `claude: {quoted(prompt)[1:-1]}`")
    return Claude(prompt, reader.mark(name.value))


def absorb_metadata(reader: Reader, fields: Fields) -> None:
    """Take the options under ``metadata`` as if they stood in the step itself."""
    entry = fields.found.pop("metadata", None)
    if entry is None:
        return
    reader.deprecated(entry.key, "`metadata` is an old form", "put its keys into the step itself")
    absorb(reader, fields, reader.inside(entry, METADATA), "metadata")


def _shell(nested: Nested, entry: Field, _fields: Fields) -> Shell:
    return Shell(nested.reader.filled(entry) or "", nested.mark(entry.value))


def _claude(nested: Nested, entry: Field, fields: Fields) -> Claude:
    """A prompt, or a mapping of the prompt and options of Claude."""
    return Claude(*_text_among_options(nested.reader, entry, fields, CLAUDE, "prompt"))


def _test(nested: Nested, entry: Field, fields: Fields) -> Test:
    reader = nested.reader
    hint = "write `shell`, with `max_attempts: 3` under `on_failure` if it is to be repaired"
    reader.deprecated(entry.key, "`test` is an old name of a shell command", hint)
    return Test(*_text_among_options(reader, entry, fields, TEST, "command"))


def _text_among_options(
    reader: Reader, entry: Field, fields: Fields, vocabulary: Vocabulary, name: str
) -> tuple[str, Mark]:
    """The text of an action, or of the key ``name`` of its mapping, whose other keys are options of the step."""
    if not isinstance(entry.value, Mapping):
        return reader.filled(entry) or "", reader.mark(entry.value)
    inner = reader.fields(entry.value, vocabulary)
    absorb(reader, fields, inner.without({name}), entry.name)
    text = inner.get(name)
    if text is None and not inner.attempted((name,)):
        reader.problems.error("missing-key", f"`{entry.name}` needs a `{name}`", entry.key)
    return reader.filled(text) or "", reader.mark(text.value if text else entry.value)


def _validate(nested: Nested, entry: Field, fields: Fields) -> Check:
    return read_check(nested.inside(fields), entry, read_overrides(nested.reader, fields))


def _analyze(nested: Nested, entry: Field, _fields: Fields) -> Analyze:
    reader = nested.reader
    reader.deprecated(entry.key, "`analyze` does nothing any more", "leave the step out")
    if isinstance(entry.value, Scalar) and entry.value.is_null:
        return Analyze()
    fields = reader.inside(entry, ANALYZE)
    reader.integer(fields.get("max_cache_age"), 0)
    reader.boolean(fields.get("force_refresh"))
    reader.boolean(fields.get("save"))
    reader.text(fields.get("format"))
    return Analyze()


def _command(nested: Nested, entry: Field, _fields: Fields) -> Shell | Claude:
    reader = nested.reader
    reader.deprecated(entry.key, "`command` is an old form", "write `claude` or `shell`")
    return command(reader.filled(entry) or "", reader.mark(entry.value), "claude")


def _handler(nested: Nested, entry: Field, _fields: Fields) -> Shell | Claude:
    """``{name: shell, attributes: {command: …}}``."""
    reader = nested.reader
    reader.deprecated(entry.key, "`handler` is an old form", "write `claude` or `shell`")
    fields = reader.inside(entry, LEGACY_HANDLER)
    kind = reader.choice(fields.get("name"), ("shell", "claude"))
    if kind is None and fields.get("name") is not None:
        return Shell("", reader.mark(entry.value))
    attributes = reader.inside(fields.get("attributes"), LEGACY_HANDLER_ATTRIBUTES)
    given = attributes.get("command")
    if isinstance(entry.value, Mapping) and given is None and not attributes.attempted(("command",)):
        message = "`handler` needs a `name` and `attributes: {command: …}`"
        reader.problems.error("missing-key", message, entry.key)
    text, mark = reader.filled(given) or "", reader.mark(given.value if given else entry.value)
    return Claude(text, mark) if kind == "claude" else Shell(text, mark)


def _flags(reader: Reader, entry: Field | None) -> list[str]:
    """``{dry-run: true, level: 3, only: [a, b]}`` as ``--dry-run --level 3 --only a,b``."""
    words: list[str] = []
    for item in reader.named(entry):
        if isinstance(item.value, Listing) and all(isinstance(node, Scalar) for node in item.value.items):
            words += [
                f"--{item.name}",
                ",".join(node.text for node in item.value.items if isinstance(node, Scalar)),
            ]
        elif isinstance(item.value, Listing | Mapping):
            reader.wrong_type(
                item.value, quoted(item.name), "a text, a number, `true`, `false`, or a list of them"
            )
        elif _switch(item.value) is not False:
            words.append(f"--{item.name}")
            if _switch(item.value) is None:
                words.append(item.value.text)
    return words


def _switch(node: Node) -> bool | None:
    """Whether an option without a value is wanted; ``None`` if it has a value."""
    assert isinstance(node, Scalar)
    if node.is_null:
        return False
    return {"true": True, "false": False}.get(node.text) if node.plain else None


_READERS: Final[dict[str, Callable[[Nested, Field, Fields], Action]]] = {
    "shell": _shell,
    "claude": _claude,
    "test": _test,
    "foreach": read_foreach,
    "goal_seek": read_goal_seek,
    "write_file": read_write_file,
    "validate": _validate,
    "analyze": _analyze,
    "command": _command,
    "handler": _handler,
}
