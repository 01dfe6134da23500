"""Workflow files as they are named on the command line: found, read, and loaded with what they name themselves."""

from collections.abc import Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path
from typing import Any

from msgspec import structs

from prodigy.cli.app import STDIN
from prodigy.cli.invocation import Invocation
from prodigy.cli.library import FileLibrary
from prodigy.errors import MachineError, UsageError
from prodigy.workflow.load import Loaded, load_workflow

_STDIN_NAME = "<stdin>"


@dataclass(frozen=True, slots=True)
class WorkflowFile:
    """A workflow's text: the name that the user gave it, where it is, what is in it.

    ``path`` is absolute, and ``None`` for standard input.
    """

    name: str
    path: Path | None
    data: bytes

    @property
    def place(self) -> str:
        """The path, or what stands for standard input."""
        return _STDIN_NAME if self.path is None else str(self.path)


def open_workflow(name: str, invocation: Invocation) -> WorkflowFile:
    """The file that a name means: a path, a name under ``workflows/``, or standard input.

    Raises:
        UsageError: ``workflow-not-found``.
        MachineError: ``storage-denied``: the file cannot be read.
    """
    path = None if name == STDIN else find_workflow(name, invocation)
    try:
        data = Path(STDIN if path is None else path).read_bytes()
    except OSError as error:
        message = f"`{name}` cannot be read: {error.strerror}"
        raise MachineError("storage-denied", message, where=str(path)) from None
    return WorkflowFile(_STDIN_NAME if path is None else name, path, data)


def load_file(
    file: WorkflowFile, invocation: Invocation, parameters: Mapping[str, Any] | None = None
) -> Loaded:
    """The workflow of a file, with the files that it names itself.

    Args:
        file: the file.
        invocation: tells where the caller and the repository are.
        parameters: values given from outside; ``None`` if nobody knows yet.

    Raises:
        WorkflowInvalid: with every problem.
    """
    main = None if file.path is None else (file.name, file.path)
    library = FileLibrary(main, invocation.around.directory, repository_root(invocation.place))
    configuration = invocation.configuration
    loaded = load_workflow(
        file.data,
        file.name,
        library=library,
        parameters=parameters,
        around=configuration.around,
        standards=configuration.standards,
    )
    return structs.replace(
        loaded, workflow=configuration.completed(loaded.workflow), texts=configuration.texts | loaded.texts
    )


def find_workflow(name: str, invocation: Invocation) -> Path:
    """A path relative to the caller's folder, else ``workflows/NAME[.yml]`` of the folder acted on.

    Raises:
        UsageError: ``workflow-not-found``.
    """
    shelf = invocation.place / "workflows"
    beside = invocation.around.directory / name
    for candidate in (beside, shelf / name, shelf / f"{name}.yml", shelf / f"{name}.yaml"):
        if candidate.is_file():
            return candidate.resolve()
    raise UsageError("workflow-not-found", f"There is no workflow `{name}`", hint=_nearby(name, invocation))


def repository_root(place: Path) -> Path:
    """The folder around ``place`` that holds a repository's files; ``place`` itself outside of one."""
    return next((folder for folder in (place, *place.parents) if (folder / ".git").exists()), place)


def _nearby(name: str, invocation: Invocation) -> str | None:
    places = (invocation.around.directory, invocation.place / "workflows")
    names = [file.name for place in places if place.is_dir() for file in place.glob("*.y*ml")]
    near = get_close_matches(Path(name).name, names, n=3) or sorted(names)[:3]
    return "did you mean " + " or ".join(f"`{found}`" for found in near) + "?" if near else None
