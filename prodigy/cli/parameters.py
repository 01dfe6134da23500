"""Values of parameters from the command line: ``--param NAME=VALUE`` and ``--param-file FILE``."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from prodigy.errors import UsageError
from prodigy.workflow.nodes import Mapping, value_of
from prodigy.workflow.parameters import CliText
from prodigy.workflow.problems import Problems
from prodigy.workflow.source import decode, read


def given_parameters(params: Sequence[str], files: Sequence[str], directory: Path) -> dict[str, Any] | None:
    """The values by name; ``None`` if nothing is given at all.

    Args:
        params: ``NAME=VALUE`` each; they win over files.
        files: JSON or YAML, a mapping each; a later one wins.
        directory: the caller's, which files are relative to.

    Raises:
        UsageError: ``bad-value``: no ``=``, no such file, or no mapping in it.
    """
    if not params and not files:
        return None
    values: dict[str, Any] = {}
    for file in files:
        values |= _of_file(file, directory)
    return values | dict(_pairs(params))


def _pairs(params: Sequence[str]) -> Iterator[tuple[str, CliText]]:
    for param in params:
        name, sign, value = param.partition("=")
        if not sign or not name:
            hint = "write `--param NAME=VALUE`"
            raise UsageError("bad-value", f"`{param}` is no value for `--param`", hint=hint)
        yield name, CliText(value)


def _of_file(name: str, directory: Path) -> dict[str, Any]:
    try:
        data = (directory / name).read_bytes()
    except OSError as error:
        message = f"The parameter file `{name}` cannot be read: {error.strerror}"
        raise UsageError("bad-value", message) from None
    problems = Problems(name)
    text = decode(data, problems)
    root = None if text is None else read(text, problems, json=name.lower().endswith(".json"))
    if problems.invalid:
        first = problems.sorted()[0]
        message = f"The parameter file `{name}` cannot be read: {first.message}"
        raise UsageError("bad-value", message, where=str(first.mark))
    if not isinstance(root, Mapping):
        hint = "it holds `NAME: VALUE` lines"
        raise UsageError("bad-value", f"The parameter file `{name}` is no mapping", hint=hint)
    values: dict[str, Any] = value_of(root)
    return values
