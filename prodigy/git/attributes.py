"""The attribute files of commits: what they name, and a folder that has nothing else.

Git reads ``.gitattributes`` from the files of a worktree, also where it merges without one. A merge that touches no
files needs those of the branch's tip, whatever happens to be checked out elsewhere: a folder with exactly them.
"""

import os
import re
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from prodigy.errors import RunError
from prodigy.git.aside import folder_aside
from prodigy.git.cli import Git
from prodigy.git.objects import Objects

NAME = ".gitattributes"

_STEPS = frozenset({b"", b".", b"..", b".git"})
"""Parts of a path that no honest tree has."""

Attributes = Mapping[bytes, bytes]
"""Path and content of each attribute file of a commit."""


class AttributeReader:
    """Attribute files of one commit after the other, read again only where they changed.

    Args:
        git: in the repository.
        objects: says what changed between two commits.
    """

    def __init__(self, git: Git, objects: Objects) -> None:
        self._git = git
        self._objects = objects
        self._known: tuple[str, Attributes] | None = None

    async def at(self, commit: str) -> Attributes:
        """The attribute files of a commit."""
        if self._known is None or not await self._alike(self._known[0], commit):
            self._known = commit, await read_attributes(self._git, commit)
        self._known = commit, self._known[1]
        return self._known[1]

    async def _alike(self, one: str, other: str) -> bool:
        if one == other:
            return True
        changed = await self._objects.files_changed(one, other)
        return not any(path.rpartition("/")[2] == NAME for path in changed)


async def read_attributes(git: Git, commit: str) -> Attributes:
    """The attribute files of a commit; git follows no symbolic link of that name, and neither do we."""
    listed = (await git.run("ls-tree", "-r", "-z", "--full-tree", commit)).fields
    entries = (entry.partition(b"\t") for entry in listed if entry.endswith(NAME.encode()))
    blobs = {path: about.split()[2] for about, _, path in entries if _is_meant(about, path)}
    return {path: (await git.run("cat-file", "blob", blob.decode())).stdout for path, blob in blobs.items()}


def _is_meant(about: bytes, path: bytes) -> bool:
    folders, _, name = path.rpartition(b"/")
    parts = folders.split(b"/") if folders else []
    return about.startswith(b"100") and name == NAME.encode() and not _STEPS.intersection(parts)


def named(texts: Iterable[bytes], attribute: str) -> frozenset[str]:
    """The values that texts of attribute files give to an attribute, wherever, macros included."""
    pattern = re.compile(rb"(?:^|[ \t])%b=([^ \t\r\n]+)" % re.escape(attribute.encode()), re.MULTILINE)
    return frozenset(os.fsdecode(value) for text in texts for value in pattern.findall(text))


@contextmanager
def attribute_folder(common_dir: str, attributes: Attributes) -> Iterator[str]:
    """A folder for the block, with the attribute files and nothing else.

    Args:
        common_dir: of the repository, in which it lies.
        attributes: what it has.

    Raises:
        RunError: ``worktree-error``: it cannot be made.
    """
    with folder_aside(common_dir) as folder:
        try:
            _fill(folder, attributes)
        except OSError as error:
            reason = error.strerror or str(error)
            raise RunError(
                "worktree-error", f"attribute files cannot be written: {reason}", where=folder
            ) from error
        yield folder


def _fill(folder: str, attributes: Attributes) -> None:
    for path, content in attributes.items():
        file = Path(folder, os.fsdecode(path))
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(content)
