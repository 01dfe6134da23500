"""What one setting is: its names, what it takes, what holds without it, what it becomes.

Pure data.
"""

import re
from typing import Any, Final, Literal

from msgspec import Struct

from prodigy.workflow.vocabulary import Standing

Kind = Literal[
    "text",
    "texts",
    "names",
    "env",
    "flag",
    "count",
    "whole",
    "usd",
    "seconds",
    "limit",
    "size",
    "share",
    "choice",
]
"""``count`` is a whole number above zero, ``whole`` one from zero on; ``limit`` is a time above zero, or ``none``;
``names`` are values by names of the author's own, ``env`` texts by names of variables."""

HIDDEN: Final = "***"
"""What is shown in the place of a secret."""
_SECRET: Final = re.compile(r"(?:_key|_token|password|secret)$", re.IGNORECASE)


class Setting(Struct, frozen=True, kw_only=True):
    """One key."""

    name: str
    """With dots, as in ``claude.model``."""
    kind: Kind = "text"
    default: Any = None
    """What holds without it; ``None``: nothing, or what somebody else decides."""
    also: tuple[str, ...] = ()
    """Other names of the same setting."""
    words: tuple[str, ...] = ()
    """Of a ``choice``."""
    workflow: tuple[str, ...] = ()
    """The keys of a workflow that it is the default of, the outermost first."""
    anew: bool = False
    """Whether a run that is taken up takes it as it is by then, instead of as it was when the run was begun."""
    standing: Standing = Standing.ACTING
    hint: str | None = None
    about: str = ""
    """One line for people."""

    @property
    def is_secret(self) -> bool:
        """Whether its value is nobody's business."""
        return names_secret(self.name)

    def shown(self, value: Any) -> Any:
        """A value of it as people may see it."""
        if value is None:
            return None
        if self.is_secret:
            return HIDDEN
        if self.kind == "env":
            return {name: HIDDEN if names_secret(name) else text for name, text in value.items()}
        return value


def names_secret(name: str) -> bool:
    """Whether whatever has this name holds a secret, by the name alone."""
    return _SECRET.search(name) is not None
