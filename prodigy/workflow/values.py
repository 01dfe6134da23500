"""The text of a value, and what modifiers and filters make of it.

Pure. A modifier that does not fit the type of its value is a ``BadModifier``, never a guess.
"""

import posixpath
from collections.abc import Mapping
from typing import Any

import msgspec

from prodigy.errors import WorkflowError
from prodigy.workflow.globs import BadGlob, matches
from prodigy.workflow.refs import AnyRef, Filter, Modifier, Ref
from prodigy.workflow.scope import UNDEFINED

LARGEST_INTEGER = 2**63 - 1
"""Larger integers have no place in a message or a record; they become floats."""
_SPACED = frozenset({
    "files", "files_added", "files_modified", "files_deleted", "files_changed", "modified_files", "staged_files",
    "unstaged_files", "untracked_files", "file_list", "commits", "commit_ids",
})  # fmt: skip
"""Lists of files and commits are joined by one space; all others by a comma and a space."""
_OWN_DATA = frozenset({"item", "map"})
_SEPARATORS = {"lines": "\n", "newline": "\n", "csv": ",", "comma": ",", "space": " "}


class TemplateError(WorkflowError):
    """A reference in a text cannot be filled in."""


class UndefinedVariable(TemplateError):
    """A reference leads to nothing; ``suggestion`` is the name that was probably meant."""

    def __init__(self, name: str, suggestion: str | None = None) -> None:
        hint = f"did you mean `{suggestion}`?" if suggestion else None
        super().__init__("undefined-variable", f"`{name}` is not defined", hint=hint)
        self.name = name
        self.suggestion = suggestion


class BadReference(TemplateError):
    """A reference that cannot work where it stands."""

    def __init__(self, message: str, *, code: str = "bad-reference", hint: str | None = None) -> None:
        super().__init__(code, message, hint=hint)


class BadModifier(TemplateError):
    """A modifier or filter that does not fit its value."""

    def __init__(self, message: str) -> None:
        super().__init__("unknown-modifier", message)


def text_of(value: Any, *, separator: str = ", ") -> str:
    """A value as text: null empty, booleans ``true``/``false``, lists of text joined, other data compact JSON."""
    if isinstance(value, str):
        return value
    if value is None:
        return ""
    if isinstance(value, list | tuple) and all(isinstance(element, str) for element in value):
        return separator.join(value)
    return json_text(value)


def text(value: Any, ref: AnyRef) -> str:
    """The text of a value as its reference wants it."""
    spaced = isinstance(ref, Ref) and ref.path[-1] in _SPACED and ref.root not in _OWN_DATA
    return text_of(value, separator=" " if spaced else ", ")


def json_text(value: Any) -> str:
    """A value as compact JSON in its own key order."""
    return msgspec.json.encode(value).decode()


def is_blank(value: Any) -> bool:
    """Whether a default takes the place of a value: undefined, null or empty text."""
    return value is UNDEFINED or value is None or value == ""


def modified(value: Any, modifier: Modifier) -> Any:
    """The value after one ``:modifier``."""
    if modifier.name == "raw":
        return value
    if modifier.name == "json":
        return json_text(value)
    if modifier.name == "words":
        return _text(value, ":words").split()
    elements = _elements(value, ":" + (",".join(modifier.globs) or modifier.name))
    if modifier.name == "glob":
        return _matching(elements, modifier.globs)
    return _SEPARATORS[modifier.name].join(text_of(element) for element in elements)


def filtered(value: Any, step: Filter) -> Any:
    """The value after one ``| filter``; only ``default`` and ``length`` accept an undefined one."""
    if step.name in {"default", "length"} or value is UNDEFINED:
        return _of_undefined(value, step)
    if step.name == "pattern":
        return modified(value, Modifier("glob", (step.argument or "",)))
    if step.name in {"first", "last"}:
        return _end(_elements(value, f"| {step.name}"), step.name)
    is_modifier = step.name in {"json", "lines", "csv"}
    return modified(value, Modifier(step.name)) if is_modifier else _over_text(value, step.name)


def _matching(elements: list[Any], globs: tuple[str, ...]) -> list[Any]:
    try:
        return [element for element in elements if matches(text_of(element), globs)]
    except BadGlob as bad:
        raise BadModifier(bad.message) from None


def _over_text(value: Any, name: str) -> Any:
    """A filter on text, applied to every element of a list."""
    if isinstance(value, list | tuple):
        return [_over_text(element, name) for element in value]
    text = _text(value, f"| {name}")
    match name:
        case "upper":
            return text.upper()
        case "lower":
            return text.lower()
        case "trim":
            return text.strip()
        case "basename":
            return posixpath.basename(text)
        case "dirname":
            return posixpath.dirname(text) or "."
        case _:
            raise BadModifier(f"there is no filter `{name}`")


def _of_undefined(value: Any, step: Filter) -> Any:
    """The filters that an undefined value may meet; all others leave it undefined."""
    if step.name == "default":
        return step.argument if is_blank(value) else value
    return _length(value, step.argument) if step.name == "length" else UNDEFINED


def _end(elements: list[Any], which: str) -> Any:
    return None if not elements else elements[0 if which == "first" else -1]


def _length(value: Any, default: str | None) -> Any:
    if value is UNDEFINED or value is None:
        return UNDEFINED if default is None else default
    if isinstance(value, str | list | tuple | Mapping):
        return len(value)
    raise BadModifier("`| length` needs text, a list or a mapping")


def _text(value: Any, who: str) -> str:
    if isinstance(value, list | tuple | Mapping):
        raise BadModifier(f"`{who}` needs text, not a list or mapping")
    return text_of(value)


def _elements(value: Any, who: str) -> list[Any]:
    if isinstance(value, list | tuple):
        return list(value)
    raise BadModifier(f"`{who}` needs a list")
