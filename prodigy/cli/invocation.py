"""What a verb is given besides its own arguments."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter

from prodigy import paths
from prodigy.cli.configured import configured
from prodigy.cli.git_folder import main_worktree
from prodigy.cli.options import Options
from prodigy.cli.printer import Printer
from prodigy.cli.surroundings import Surroundings

if TYPE_CHECKING:
    from prodigy.configuration.effective import Configuration

STREAMING = "PRODIGY_CLAUDE_STREAMING"
"""Whether Claude tells what it does while it does it."""


@dataclass(frozen=True)
class Invocation:
    """One call of the program: who prints, what was asked of all verbs, what surrounds it."""

    printer: Printer
    options: Options
    around: Surroundings
    argv: tuple[str, ...]

    @property
    def home(self) -> Path:
        """The base folder of everything Prodigy keeps."""
        return paths.home(self.around.environ)

    @cached_property
    def configuration(self) -> "Configuration":
        """What files and variables of the environment say; read once, and what is odd about it is told then.

        Raises:
            ConfigurationInvalid: every problem has been shown.
            MachineError: ``storage-denied``.
        """
        return configured(self.home, main_worktree(self.place), self.around.environ, self.printer)

    @property
    def environ(self) -> Mapping[str, str]:
        """The environment that a run inherits: the caller's, with what the configuration adds to it."""
        streaming = self.configuration.given("claude.streaming")
        own = {} if streaming is None else {STREAMING: str(streaming).lower()}
        return {**own, **self.around.environ}

    @property
    def place(self) -> Path:
        """The folder whose repository is acted on; it need not exist."""
        chosen = self.options.path
        if chosen is None:
            return self.around.directory
        return (self.around.directory / chosen.expanduser()).resolve()


Given = Annotated[Invocation, Parameter(parse=False)]
"""The annotation under which a verb receives its invocation; it is no flag."""
