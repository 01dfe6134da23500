"""What a verb is given besides its own arguments."""

import re
from collections.abc import Iterable, Mapping
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

from cyclopts import Parameter
from msgspec import Struct

from prodigy import paths
from prodigy.cli.configured import Sources, configured, files_of
from prodigy.cli.git_folder import common_folder, main_worktree
from prodigy.cli.options import Options
from prodigy.cli.printer import Printer
from prodigy.cli.surroundings import Surroundings
from prodigy.configuration.variables import LOCAL_STORAGE, VARIABLE
from prodigy.errors import UsageError
from prodigy.paths import PROJECT_FOLDER, Storage

if TYPE_CHECKING:
    from prodigy.configuration.effective import Configuration

STREAMING: Final = "PRODIGY_CLAUDE_STREAMING"
"""Whether Claude tells what it does while it does it."""
CONSOLE: Final = "PRODIGY_CLAUDE_CONSOLE_OUTPUT"
"""Whether that is shown whatever the level."""
_STORAGE: Final = re.compile(rb"\bstorage\b")
_SETTINGS: Final = f"{VARIABLE}STORAGE__"
_TRUE, _FALSE = frozenset({"1", "true", "yes", "on"}), frozenset({"0", "false", "no", "off", ""})


class Invocation(Struct, frozen=True, dict=True):
    """One call of the program: who prints, what was asked of all verbs, what surrounds it."""

    printer: Printer
    options: Options
    around: Surroundings
    argv: tuple[str, ...]
    sources: Sources
    """Of configuration."""

    @property
    def home(self) -> Path:
        """The base folder of everything Prodigy keeps."""
        return paths.home(self.around.environ)

    @cached_property
    def storage(self) -> Storage:
        """Where runs are kept: under home or, if that is wanted, in the folder of the project.

        Raises:
            UsageError: ``bad-value``: a variable that is true or false is neither.
        """
        git_dir, project = common_folder(self.place), main_worktree(self.place)
        if git_dir is None or project is None or not self.keeps_local:
            return Storage(self.home)
        from prodigy.store.repos import find

        return Storage(self.home, project / PROJECT_FOLDER, find(self.home, git_dir))

    @property
    def other_storage(self) -> Storage:
        """Where runs are not looked for, though there may be some."""
        from prodigy.store.repos import UNNAMED

        project = main_worktree(self.place)
        local = None if project is None or self.storage.local is not None else project / PROJECT_FOLDER
        return Storage(self.home, local, UNNAMED)

    @cached_property
    def keeps_local(self) -> bool:
        """Whether runs are to be kept in the folder of the project, if there is one."""
        environ = self.around.environ
        stays = is_true(environ, LOCAL_STORAGE)
        if not self.sources.mention(_STORAGE) and not any(name.startswith(_SETTINGS) for name in environ):
            return bool(stays)
        return bool(self.sources.found.configuration.get("storage.local"))

    @cached_property
    def configuration(self) -> "Configuration":
        """What files and variables of the environment say; read once, and what is odd about it is told then.

        Raises:
            ConfigurationInvalid: every problem has been shown.
            MachineError: ``storage-denied``.
        """
        return configured(self.sources, self.printer)

    @property
    def environ(self) -> Mapping[str, str]:
        """The environment that a run inherits: the caller's, with what the configuration adds to it.

        Raises:
            UsageError: ``bad-value``: a variable that is true or false is neither.
        """
        streams = is_true(self.around.environ, STREAMING)
        if streams is None:
            streams = self.configuration.given("claude.streaming")
        own = {} if streams is None else {STREAMING: str(streams).lower()}
        return {**self.around.environ, **own}

    @property
    def place(self) -> Path:
        """The folder whose repository is acted on; it need not exist."""
        return place_of(self.options, self.around)


def is_true(environ: Mapping[str, str], name: str) -> bool | None:
    """The value of a variable of the environment that is true or false; ``None`` if it is not set.

    Raises:
        UsageError: ``bad-value``.
    """
    value = environ.get(name)
    if value is None:
        return None
    if value.lower() not in _TRUE | _FALSE:
        raise UsageError(
            "bad-value", f"`{value}` is no value for `{name}`", hint="it takes `true` or `false`"
        )
    return value.lower() in _TRUE


def place_of(options: Options, around: Surroundings) -> Path:
    """The folder whose repository is acted on."""
    if options.path is None:
        return around.directory
    return (around.directory / options.path.expanduser()).resolve()


def sources_of(options: Options, around: Surroundings) -> Sources:
    """All that speaks of configuration for that folder."""

    def paths_() -> Iterable[Path]:
        return files_of(paths.home(around.environ), main_worktree(place_of(options, around)), around.environ)

    return Sources(paths_, around.environ)


Given = Annotated[Invocation, Parameter(parse=False)]
"""The annotation under which a verb receives its invocation; it is no flag."""
