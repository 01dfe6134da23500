"""Commits as git stores them, and those just made read from the files that they were put in.

Rules: workers use this module: no trio, no pygit2, no process. What is not found so is git's to tell.
"""

import codecs
import os
import zlib
from itertools import dropwhile, takewhile
from pathlib import Path

from msgspec import Struct

from prodigy.git.cli import readable

_COMMIT = b"commit "
_MOST = 1 << 20
"""Bytes of a commit that is worth reading here."""


class CommitText(Struct, frozen=True):
    """One commit."""

    tree: str
    parents: tuple[str, ...]
    header: tuple[bytes, ...]
    """Its lines, without what goes on in further lines."""
    message: bytes

    @property
    def subject(self) -> str:
        """The first paragraph in one line, as git's ``%s``."""
        stated = (line.partition(b" ")[2] for line in self.header if line.startswith(b"encoding "))
        text = self.message.decode(
            _codec(next(stated, b"utf-8").decode("ascii", "replace")), "backslashreplace"
        )
        paragraph = takewhile(str.strip, dropwhile(lambda line: not line.strip(), text.splitlines()))
        return " ".join(line.rstrip() for line in paragraph)


def parsed(content: bytes) -> CommitText:
    """A commit from its content, which begins with ``tree``.

    Raises:
        ValueError: it is none.
    """
    head, _, message = content.partition(b"\n\n")
    lines = head.split(b"\n")
    if not lines[0].startswith(b"tree "):
        raise ValueError(readable(lines[0][:80]))
    parents = takewhile(lambda line: line.startswith(b"parent "), lines[1:])
    return CommitText(
        tree=lines[0][5:].decode("ascii"),
        parents=tuple(line[7:].decode("ascii") for line in parents),
        header=tuple(line for line in lines if not line.startswith(b" ")),
        message=message,
    )


class LooseCommits:
    """Those of a repository that lie in files of their own.

    Args:
        common: the folder that all worktrees of the repository share; ``None``: nothing is found.
    """

    def __init__(self, common: str | None) -> None:
        self._common = common

    def find(self, commit: str) -> CommitText | None:
        """A commit by its full id; ``None`` if it is packed, replaced, elsewhere, or large."""
        if self._common is None or os.path.lexists(f"{self._common}/refs/replace"):
            return None
        try:
            packed = Path(self._common, "objects", commit[:2], commit[2:]).read_bytes()
            unpacking = zlib.decompressobj()
            kind, _, content = unpacking.decompress(packed, _MOST).partition(b"\0")
            return parsed(content) if kind.startswith(_COMMIT) and unpacking.eof else None
        except (OSError, ValueError, zlib.error):
            return None


def _codec(name: str) -> str:
    try:
        return codecs.lookup(name).name
    except LookupError:
        return "utf-8"
