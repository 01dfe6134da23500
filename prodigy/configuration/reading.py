"""One source of configuration, a file or a variable of the environment, as values that know where they stand.

Pure. Every unknown key and every bad value is a problem with its place.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

from msgspec import Struct, structs

from prodigy.configuration.setting import HIDDEN, Setting, names_secret
from prodigy.configuration.settings import BY_NAME, SECTIONS, SETTINGS
from prodigy.configuration.variables import OLD, VARIABLE
from prodigy.errors import WorkflowError
from prodigy.workflow.fields import Field, Reader
from prodigy.workflow.nearest import nearest
from prodigy.workflow.nodes import Mapping as MappingNode
from prodigy.workflow.nodes import Node, Scalar, value_of
from prodigy.workflow.problems import Problem, Problems, quoted, render
from prodigy.workflow.source import decode, read
from prodigy.workflow.vocabulary import Standing

_VALUE: Final = re.compile(r"((?:_key|_token|password|secret)[\"']?\s*:\s*)[^\s,}]+", re.IGNORECASE)
"""A value whose name says that it is a secret."""
_SWITCHES: Final = {
    "1": "true",
    "yes": "true",
    "on": "true",
    "0": "false",
    "no": "false",
    "off": "false",
    "": "false",
}
"""How the environment spells true and false besides."""


class Entry(Struct, frozen=True):
    """A value that was given: as it is written, and as it is meant."""

    key: Scalar
    node: Node
    value: Any


class Layer(Struct, frozen=True):
    """What one source says; ``source`` is how people call it."""

    source: str
    entries: Mapping[str, Entry]
    text: str = ""
    """The whole of it."""
    from_environment: bool = False


class ConfigurationInvalid(WorkflowError):
    """Configuration with at least one error.

    Args:
        problems: of all sources.
        texts: of the sources by name, for showing the lines.
    """

    def __init__(self, problems: Sequence[Problem], texts: Mapping[str, str]) -> None:
        errors = [problem for problem in problems if problem.severity == "error"]
        count = "one error" if len(errors) == 1 else f"{len(errors)} errors"
        where = errors[0].mark
        super().__init__("config-invalid", f"The configuration has {count}", where=str(where))
        self.problems = tuple(problems)
        self.texts = dict(texts)

    def report(self) -> str:
        """Every problem with its source line, as people read it."""
        return render(self.problems, self.texts)


def read_layer(data: bytes, source: str, problems: Problems) -> Layer:
    """What a file says.

    Args:
        data: the file, UTF-8 YAML.
        source: its name.
        problems: of this file; unknown keys are warnings.
    """
    text = decode(data, problems)
    root = None if text is None else read(text, problems)
    reader = _Settings(problems)
    if isinstance(root, MappingNode):
        reader.section(root, "")
    elif root is not None and not (isinstance(root, Scalar) and root.is_null):
        problems.error("wrong-type", "a configuration is a mapping", root)
    return Layer(source, reader.entries, _VALUE.sub(rf"\1{HIDDEN}", text or ""))


def read_variable(name: str, text: str, problems: Problems) -> Layer:
    """What a variable of the environment says; its value is YAML."""
    path, inner = _path(name)
    setting = BY_NAME.get(path)
    if setting is not None and setting.kind == "flag":
        text = _SWITCHES.get(text.lower(), text)
    at = Scalar(text, True, 1, 1, 1, max(2, len(text) + 1))
    plain = setting is not None and (setting.is_secret or setting.kind == "env")
    node = at if plain else read(text, problems)
    reader = _Settings(problems)
    if node is None and not problems.invalid:
        node = structs.replace(at, text="")
    if node is not None:
        place = (at.line, at.column, at.end_line, at.end_column)
        if inner:
            node = MappingNode([(Scalar(inner, True, *place), node)], *place)
        reader.entry(path, Scalar(path, True, *place), node)
    return Layer(
        name, reader.entries, "" if setting is not None and setting.is_secret else text, from_environment=True
    )


def _path(name: str) -> tuple[str, str]:
    """The setting that a variable speaks of, and in one that is a mapping the name, whose case counts."""
    if name in OLD:
        return OLD[name], ""
    words = name.removeprefix(VARIABLE)
    for setting in SETTINGS:
        section = f"{setting.name.upper().replace('.', '__')}__"
        if setting.kind in {"names", "env"} and words.startswith(section):
            return setting.name, words.removeprefix(section)
    return words.lower().replace("__", "."), ""


class _Settings(Reader):
    """Reads the keys of one source into ``entries``."""

    def __init__(self, problems: Problems) -> None:
        super().__init__(problems)
        self.entries: dict[str, Entry] = {}

    def section(self, node: MappingNode, prefix: str) -> None:
        """The keys of a mapping."""
        for key, value in node.entries:
            self.entry(f"{prefix}{key.text}", key, value)

    def entry(self, name: str, key: Scalar, node: Node) -> None:
        """One key with its value."""
        setting = BY_NAME.get(name)
        if setting is not None:
            self._setting(setting, key, node)
        elif name not in SECTIONS:
            self._unknown_name(name, key)
        elif isinstance(node, MappingNode):
            self.section(node, f"{name}.")
        elif not (isinstance(node, Scalar) and node.is_null):
            self.wrong_type(node, quoted(name), "a mapping")

    def _setting(self, setting: Setting, key: Scalar, node: Node) -> None:
        if setting.name in self.entries:
            message = f"{quoted(setting.name)} and {quoted(setting.also[0])} are one setting"
            self.problems.error("conflicting-keys", message, key, "keep one of them")
        elif setting.standing is Standing.LATER:
            self.not_yet(key, quoted(setting.name), *filter(None, (setting.hint,)))
        elif setting.standing is Standing.INERT:
            self.no_effect(key, f"{quoted(setting.name)} has no effect", *filter(None, (setting.hint,)))
        elif isinstance(node, Scalar) and node.is_null:
            self.empty(key)
        else:
            key = Scalar(setting.name, True, key.line, key.column, key.end_line, key.end_column, key.file)
            self._typed_value(setting, key, node)

    def _typed_value(self, setting: Setting, key: Scalar, node: Node) -> None:
        readers: Mapping[str, Callable[[Field], Any]] = {
            "text": self.filled,
            "texts": lambda entry: self.texts(entry) or None,
            "flag": self.boolean,
            "count": lambda entry: self.integer(entry, 1),
            "whole": lambda entry: self.integer(entry, 0),
            "usd": lambda entry: self.number(entry, 0),
            "seconds": self.fixed_seconds,
            "limit": lambda entry: self.fixed_limit(entry, None),
            "size": self.fixed_size,
            "share": self.fraction,
            "choice": lambda entry: self.choice(entry, setting.words),
            "names": self._names,
            "env": self._environment,
        }
        value = readers[setting.kind](Field(setting.name, key, node))
        if value is not None or setting.kind == "limit":
            self.entries[setting.name] = Entry(key, node, value)
        if setting.name == "claude_api_key":
            hint = "keep the key in a variable of the environment, and name that with `claude.api_key_env`"
            self.deprecated(key, "a file is no place for a key", hint)

    def _names(self, entry: Field) -> dict[str, Any] | None:
        """Values by names; they are recorded, so that no secret may be among them."""
        node = self._mapping(entry)
        if node is None:
            return None
        for key, _ in node.entries:
            if names_secret(key.text):
                message = f"{quoted(key.text)} looks like a secret, and these values are recorded"
                hint = "declare it under `secrets` of the workflow, or name it otherwise"
                self.problems.error("secret-recorded", message, key, hint)
        return {key.text: value_of(value) for key, value in node.entries}

    def _environment(self, entry: Field) -> dict[str, str] | None:
        """Texts by names of variables."""
        node = self._mapping(entry)
        if node is None:
            return None
        for key, _ in node.entries:
            if not key.text.isidentifier() or not key.text.isascii():
                self.problems.error("bad-value", f"{quoted(key.text)} cannot be a variable", key)
        read = {key.text: self.text(Field(key.text, key, value)) for key, value in node.entries}
        return {name: text for name, text in read.items() if text is not None}

    def _mapping(self, entry: Field) -> MappingNode | None:
        if isinstance(entry.value, MappingNode):
            return entry.value
        self.wrong_type(entry.value, quoted(entry.name), "a mapping")
        return None

    def _unknown_name(self, name: str, key: Scalar) -> None:
        meant = nearest(name, BY_NAME)
        hints = (f"did you mean {quoted(meant)}?",) if meant else ()
        self.problems.warning("unknown-key", f"there is no setting {quoted(name)}", key, *hints)
