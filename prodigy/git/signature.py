"""Who did something, and when, in the words that git writes into commits and logs."""

import time
from collections.abc import Mapping
from typing import Literal

from prodigy.git.cli import Git

Role = Literal["AUTHOR", "COMMITTER"]


class Names:
    """Asked of git once, whose rules for this are many.

    Args:
        git: in the repository.
    """

    def __init__(self, git: Git) -> None:
        self._git = git
        self._known: dict[tuple[Role, frozenset[tuple[str, str]]], bytes] = {}

    async def of(self, role: Role, identity: Mapping[str, str]) -> bytes:
        """``name <mail>`` of the author or committer.

        Args:
            role: which of the two.
            identity: environment that names them where git has no name for them.
        """
        key = (role, frozenset(identity.items()))
        if key not in self._known:
            said = await self._git.run("var", f"GIT_{role}_IDENT", env=identity)
            self._known[key] = said.stdout[: said.stdout.rindex(b">") + 1]
        return self._known[key]


def timestamp() -> bytes:
    """Now: seconds and the local offset from UTC."""
    now = time.localtime()
    hours, minutes = divmod(abs(now.tm_gmtoff) // 60, 60)
    return b"%d %b%02d%02d" % (int(time.mktime(now)), b"-" if now.tm_gmtoff < 0 else b"+", hours, minutes)
