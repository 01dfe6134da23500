"""The door of the program: ``--version`` at once, everything else through ``app``."""

import gc
import sys
from collections.abc import Sequence

_YOUNG = 200_000
"""Objects made between two searches for garbage: what is imported is none, and is not to be looked at a hundred times."""


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line of this process and return its exit code."""
    tokens = sys.argv[1:] if argv is None else list(argv)
    if tokens == ["--version"]:
        from prodigy.cli.version import version_line

        sys.stdout.write(version_line() + "\n")
        return 0
    gc.set_threshold(_YOUNG)
    from prodigy.cli.app import perform
    from prodigy.cli.surroundings import of_this_process

    return perform(tokens, of_this_process())
