"""What is odd about settings although nothing is wrong with any of them: said twice, or where others read it.

Pure. No finding holds a value: it may be a secret.
"""

from collections.abc import Iterator
from itertools import pairwise
from typing import Literal

from msgspec import Struct

from prodigy.configuration.effective import Configuration, Effective
from prodigy.configuration.settings import BY_NAME
from prodigy.configuration.variables import is_setting

Oddity = Literal["said-twice", "as-default", "variable-wins", "secret-in-project"]
_BY_NAME = frozenset({"names", "env"})
"""Kinds that are merged name by name: no source hides the whole of another."""


class Finding(Struct, frozen=True, kw_only=True):
    """One oddity of one setting; ``sources`` are those that it is about, the one that counts first."""

    oddity: Oddity
    key: str
    sources: tuple[str, ...]
    message: str


def diagnose(configuration: Configuration, project: str | None = None) -> Iterator[Finding]:
    """Everything odd, in the order of the documentation.

    Args:
        configuration: all sources.
        project: the name of the source that is the project's file, which others may read too.
    """
    for setting in configuration.every():
        yield from _exposed(setting, project)
        if BY_NAME[setting.key].kind not in _BY_NAME:
            yield from _needless(setting)
            yield from _hidden(setting)


def _exposed(setting: Effective, project: str | None) -> Iterator[Finding]:
    hidden = BY_NAME[setting.key].shown
    if any(source == project and hidden(value) != value for source, value in setting.chain):
        assert project is not None
        message = "a secret stands in the file of the project, which others may read"
        yield Finding(oddity="secret-in-project", key=setting.key, sources=(project,), message=message)


def _needless(setting: Effective) -> Iterator[Finding]:
    """Sources that could go without any difference."""
    *said, (_, default) = setting.chain
    for (upper, value), (lower, below) in pairwise(said):
        if value == below:
            message = f"{upper} says what {lower} says too"
            yield Finding(oddity="said-twice", key=setting.key, sources=(upper, lower), message=message)
    if said and said[-1][1] == default:
        source = said[-1][0]
        message = f"{source} says what holds without it"
        yield Finding(oddity="as-default", key=setting.key, sources=(source,), message=message)


def _hidden(setting: Effective) -> Iterator[Finding]:
    """A file that has no effect here because a variable of the environment says otherwise."""
    (first, value), *others = setting.chain[:-1] or (("", None),)
    hidden = tuple(source for source, other in others if not is_setting(source) and other != value)
    if is_setting(first) and hidden:
        message = f"the variable {first} counts before {' and '.join(hidden)}"
        yield Finding(oddity="variable-wins", key=setting.key, sources=(first, *hidden), message=message)
