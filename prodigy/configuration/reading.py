"""One source of configuration, a file or a variable of the environment, as values that know where they stand.

Pure. Every unknown key and every bad value is a problem with its place.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

from msgspec import Struct

from prodigy.configuration.settings import BY_NAME, SECTIONS, Setting
from prodigy.errors import WorkflowError
from prodigy.workflow.fields import Field, Reader
from prodigy.workflow.nearest import nearest
from prodigy.workflow.nodes import Mapping as MappingNode
from prodigy.workflow.nodes import Node, Scalar
from prodigy.workflow.problems import Problem, Problems, quoted, render
from prodigy.workflow.source import decode, read
from prodigy.workflow.vocabulary import Standing

VARIABLE: Final = "PRODIGY__"
"""What names of variables begin with that hold a setting: ``PRODIGY__BUDGET__USD``."""


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
    return Layer(source, reader.entries, text or "")


def read_variable(name: str, text: str, problems: Problems) -> Layer:
    """What a variable of the environment says; its value is YAML."""
    path = name.removeprefix(VARIABLE).lower().replace("__", ".")
    node = read(text, problems)
    reader = _Settings(problems)
    at = Scalar("", True, 1, 1, 1, max(2, len(text) + 1))
    if node is None and not problems.invalid:
        node = at
    if node is not None:
        reader.entry(path, Scalar(path, True, at.line, at.column, at.end_line, at.end_column), node)
    return Layer(name, reader.entries, text, from_environment=True)


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
            self.not_yet(key, quoted(setting.name))
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
        }
        value = readers[setting.kind](Field(setting.name, key, node))
        self.entries[setting.name] = Entry(key, node, value)

    def _unknown_name(self, name: str, key: Scalar) -> None:
        meant = nearest(name, BY_NAME)
        hints = (f"did you mean {quoted(meant)}?",) if meant else ()
        self.problems.warning("unknown-key", f"there is no setting {quoted(name)}", key, *hints)
