"""The configuration that is in force here: its files found and read, the environment over them.

From low to high: ``/etc/prodigy/config.yml``, ``config.yml`` of the home folder, ``prodigy/config.yml`` of the user's
configuration folder, ``.prodigy/config.yml`` of the repository's main worktree, variables ``PRODIGY__SECTION__KEY``.
Where nobody says anything, nothing is imported that could read it.
"""

from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Final

from msgspec import Struct

from prodigy.cli.printer import Form, Level, Printer
from prodigy.errors import MachineError

if TYPE_CHECKING:
    from prodigy.configuration.effective import Configuration
    from prodigy.configuration.reading import ConfigurationInvalid, Layer
    from prodigy.workflow.problems import Problem

PROJECT_FILE: Final = Path(".prodigy/config.yml")
_SYSTEM_FILE: Final = Path("/etc/prodigy/config.yml")
_PREFIX: Final = "PRODIGY__"


class Found(Struct, frozen=True):
    """What all sources say, and what is wrong or odd about it; ``sources`` are their names, lowest first."""

    configuration: "Configuration"
    problems: "tuple[Problem, ...]" = ()
    sources: tuple[str, ...] = ()

    @property
    def invalid(self) -> bool:
        """Whether anything of it is an error."""
        return any(problem.severity == "error" for problem in self.problems)


def configured(
    home: Path, project: Path | None, environ: Mapping[str, str], printer: Printer
) -> "Configuration":
    """Read all that says something; what is odd about it is told.

    Args:
        home: Prodigy's.
        project: the repository's main worktree, if there is one.
        environ: the caller's environment.
        printer: shows what is wrong or odd.

    Raises:
        ConfigurationInvalid: every problem has been shown.
        MachineError: ``storage-denied``.
    """
    found = found_sources(files_of(home, project, environ), environ)
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


def found_sources(paths: Iterable[Path], environ: Mapping[str, str]) -> Found:
    """Read those of the files that exist, and the variables of the environment.

    Raises:
        MachineError: ``storage-denied``.
    """
    from prodigy.configuration.effective import Configuration

    files = [(str(path), data) for path in paths if (data := _content(path)) is not None]
    variables = [name for name in sorted(environ) if name.startswith(_PREFIX)]
    if not files and not variables:
        return Found(Configuration())
    from prodigy.configuration.reading import read_layer, read_variable
    from prodigy.workflow.problems import Problems

    layers: list[Layer] = []
    problems: list[Problem] = []
    for path, data in files:
        own = Problems(path)
        layers.append(read_layer(data, path, own))
        problems += own.sorted()
    for name in variables:
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
