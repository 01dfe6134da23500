"""Commands that are only text: ``/fix it``, ``claude: …``, ``shell: …``, or neither.

Pure.
"""

from typing import Literal

from prodigy.workflow.model import Claude, Mark, Shell

Plain = Literal["claude", "slash", "shell"]
"""What a text without a prefix is. ``claude``: a command of Claude, with or without its slash; ``slash``: that only
with its slash, else a script; ``shell``: a script."""

CLAUDE = "claude:"
SHELL = "shell:"


def command(text: str, mark: Mark, plain: Plain) -> Shell | Claude:
    """The action that a text stands for; ``mark`` is where it stands."""
    stripped = text.strip()
    if stripped.startswith(CLAUDE):
        return Claude(stripped.removeprefix(CLAUDE).strip(), mark)
    if stripped.startswith(SHELL):
        return Shell(stripped.removeprefix(SHELL).strip(), mark)
    if plain == "claude":
        return Claude(stripped if stripped.startswith("/") else f"/{stripped}", mark)
    if plain == "slash" and stripped.startswith("/"):
        return Claude(stripped, mark)
    return Shell(text, mark)
