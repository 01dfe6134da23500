"""Writing a file of the worktree.

The path stays within the worktree whatever it refers to and whatever links say. The file changes at once or not at all.
"""

import json
from typing import Any, NoReturn

from prodigy.events import Failure
from prodigy.steps.durable import Done, LeafFailed
from prodigy.steps.nested import stream_of, typed
from prodigy.steps.runner import Runner
from prodigy.steps.worktree_files import OutsideWorktree, inside, write
from prodigy.workflow.model import Step, WriteFile


async def write_file(runner: Runner, step: Step, action: WriteFile, path: str, try_: int) -> Done:  # noqa: ARG001 - the form of all actions
    """Write the file; the outcome's output and ``value["path"]`` are its path as the workflow names it.

    Raises:
        LeafFailed: ``bad-value`` for a path or content that cannot be used, or a text that cannot be filled in.
    """
    name = runner.text(action.path)
    content = _content(runner, step, action)
    try:
        place = inside(runner.worktree, name)
        mode = action.mode
        if action.append and place.exists():
            content = place.read_bytes() + content
            mode = place.stat().st_mode & 0o7777
        if not action.create_dirs and not place.parent.is_dir():
            _refuse(f"The folder of `{name}` does not exist, and `create_dirs` is off")
        write(runner.worktree, name, content, mode)
    except OutsideWorktree as error:
        _refuse(f"{error}, and `write_file` does not leave it")
    except OSError as error:
        _refuse(f"Could not write `{name}`: {error.strerror or error}")
    return Done(stdout=stream_of(f"{name}\n"), value={"path": name})


def _content(runner: Runner, step: Step, action: WriteFile) -> bytes:
    """The bytes to write."""
    if action.content is None:
        value = _filled(action.data, runner) if step.interpolate else action.data
        text = _json(value) if action.format == "json" else _yaml(value)
        return _bytes(text)
    text = runner.text(action.content) if step.interpolate else action.content.source
    match action.format:
        case "json":
            return _bytes(_json(_parsed(text)))
        case "yaml":
            _check_yaml(text)
            return _bytes(text if text.endswith("\n") or not text else f"{text}\n")
        case "text":
            return _bytes(text)


def _filled(value: Any, runner: Runner) -> Any:
    """Data with its texts filled in; a text that is one reference becomes what it refers to."""
    if isinstance(value, dict):
        return {key: _filled(part, runner) for key, part in value.items()}
    if isinstance(value, list | tuple):
        return [_filled(part, runner) for part in value]
    return typed(runner, value) if isinstance(value, str) else value


def _json(value: Any) -> str:
    try:
        return json.dumps(value, indent=2, ensure_ascii=False, allow_nan=False) + "\n"
    except ValueError as error:
        _refuse(f"The content cannot be written as JSON: {error}")


def _yaml(value: Any) -> str:
    from prodigy.workflow.yaml_text import yaml_text

    return yaml_text(value)


def _parsed(text: str) -> Any:
    try:
        return json.loads(text, parse_constant=_no_constant)
    except (ValueError, RecursionError) as error:
        _refuse(f"The content is not JSON: {error}")


def _no_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not a value of JSON")


def _check_yaml(text: str) -> None:
    from prodigy.workflow.select import BadInput, read_content

    try:
        read_content(text.encode("utf-8", "replace"), ".yaml", where="content")
    except BadInput as error:
        _refuse(f"The content is not YAML: {error.message.removeprefix('the input is not YAML: ')}")


def _bytes(text: str) -> bytes:
    try:
        return text.encode("utf-8", "surrogateescape")
    except UnicodeEncodeError:
        _refuse("The content holds half a character, which UTF-8 cannot write")


def _refuse(message: str) -> NoReturn:
    raise LeafFailed(Failure(error_class="bad-value", message=message))
