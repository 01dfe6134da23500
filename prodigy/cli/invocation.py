"""What a verb is given besides its own arguments."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from prodigy import paths
from prodigy.cli.options import Options
from prodigy.cli.printer import Printer
from prodigy.cli.surroundings import Surroundings


@dataclass(frozen=True, slots=True)
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

    @property
    def place(self) -> Path:
        """The folder whose repository is acted on; it need not exist."""
        chosen = self.options.path
        if chosen is None:
            return self.around.directory
        return (self.around.directory / chosen.expanduser()).resolve()


Given = Annotated[Invocation, Parameter(parse=False)]
"""The annotation under which a verb receives its invocation; it is no flag."""
