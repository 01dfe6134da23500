"""The configuration that is in force here: its files found and read, the environment over them.

From low to high: ``/etc/prodigy/config.yml``, ``config.yml`` of the home folder, ``prodigy/config.yml`` of the user's
configuration folder, ``.prodigy/config.yml`` of the repository's main worktree, variables ``PRODIGY__SECTION__KEY``.
Where nobody says anything, nothing is imported that could read it.
"""

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Final

from msgspec import Struct

from prodigy.cli.printer import Form, Level, Printer
from prodigy.configuration.variables import in_order, is_setting
from prodigy.errors import MachineError
from prodigy.paths import PROJECT_FOLDER

if TYPE_CHECKING:
    from prodigy.configuration.effective import Configuration
    from prodigy.configuration.reading import ConfigurationInvalid, Layer
    from prodigy.workflow.problems import Problem

PROJECT_FILE: Final = Path(PROJECT_FOLDER, "config.yml")
_SYSTEM_FILE: Final = Path("/etc/prodigy/config.yml")


class Found(Struct, frozen=True):
    """What all sources say, and what is wrong or odd about it; ``sources`` are their names, lowest first."""

    configuration: "Configuration"
    problems: "tuple[Problem, ...]" = ()
    sources: tuple[str, ...] = ()

    @property
    def invalid(self) -> bool:
        """Whether anything of it is an error."""
        return any(problem.severity == "error" for problem in self.problems)


class Sources:
    """All files and variables that say something; each is read once, when somebody asks.

    Args:
        paths: where files may lie, lowest first; see ``files_of``.
        environ: the caller's environment.
    """

    def __init__(self, paths: Callable[[], Iterable[Path]], environ: Mapping[str, str]) -> None:
        self._paths = paths
        self._environ = environ

    @cached_property
    def _files(self) -> "tuple[File, ...]":
        return tuple(_read(self._paths()))

    @property
    def places(self) -> tuple[Path, ...]:
        """Where files are looked for, lowest first; few of them need be there."""
        return tuple(self._paths())

    def mention(self, words: re.Pattern[bytes]) -> bool:
        """Whether any of the words stands in a file; that is found out without reading what it means.

        Raises:
            MachineError: ``storage-denied``.
        """
        return any(words.search(file.data) for file in self._files)

    @cached_property
    def found(self) -> Found:
        """What they say.

        Raises:
            MachineError: ``storage-denied``.
        """
        return _found(self._files, self._environ)


class File(Struct, frozen=True):
    """A file of configuration."""

    path: Path
    data: bytes


def configured(sources: Sources, printer: Printer) -> "Configuration":
    """What all sources say; what is odd about it is told.

    Raises:
        ConfigurationInvalid: every problem has been shown.
        MachineError: ``storage-denied``.
    """
    found = sources.found
    if found.invalid:
        raise _refused(found, printer)
    if found.problems:
        from prodigy.workflow.problems import render

        for line in render(found.problems, found.configuration.texts).splitlines():
            printer.talk(line)
    return found.configuration


def files_of(home: Path, project: Path | None, environ: Mapping[str, str]) -> Iterator[Path]:
    """Where files of configuration may lie, lowest first."""
    users = environ.get("XDG_CONFIG_HOME") or str(Path(environ.get("HOME") or "/", ".config"))
    yield _SYSTEM_FILE
    yield home / "config.yml"
    yield Path(users, "prodigy", "config.yml")
    if project is not None:
        yield project / PROJECT_FILE


def found_in(path: Path) -> Found:
    """What one file says by itself.

    Raises:
        MachineError: ``storage-denied``.
    """
    return _found(tuple(_read([path])), {})


def _read(paths: Iterable[Path]) -> Iterator[File]:
    for path in paths:
        if (data := _content(path)) is not None:
            yield File(path, data)


def _found(files: Sequence[File], environ: Mapping[str, str]) -> Found:
    from prodigy.configuration.effective import Configuration

    names = in_order([name for name in environ if is_setting(name)])
    if not files and not names:
        return Found(Configuration())
    from prodigy.configuration.reading import read_layer, read_variable
    from prodigy.workflow.problems import Problems

    layers: list[Layer] = []
    problems: list[Problem] = []
    for file in files:
        own = Problems(str(file.path))
        layers.append(read_layer(file.data, str(file.path), own))
        problems += own.sorted()
    for name in names:
        own = Problems(name)
        layers.append(read_variable(name, environ[name], own))
        problems += own.sorted()
    return Found(Configuration(layers), tuple(problems), tuple(layer.source for layer in layers))


def _content(path: Path) -> bytes | None:
    try:
        return path.read_bytes()
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as error:
        message = f"The configuration cannot be read: {error.strerror}"
        raise MachineError("storage-denied", message, where=str(path)) from None


def _refused(found: Found, printer: Printer) -> "ConfigurationInvalid":
    """The error, with every problem shown; scripts find them in its note."""
    from prodigy.configuration.reading import ConfigurationInvalid

    invalid = ConfigurationInvalid(found.problems, found.configuration.texts)
    if printer.form is Form.TEXT:
        for line in invalid.report().splitlines():
            printer.talk(line, at=Level.QUIET)
        printer.talk(at=Level.QUIET)
    else:
        invalid.note = invalid.report()
    return invalid
