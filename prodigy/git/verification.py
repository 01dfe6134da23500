"""The proof that a worktree holds a commit and nothing else, in one process.

Rules: git lists what its index holds, with every flag, and what differs from it on disk, untracked, ignored and empty
folders included; that has to be, byte for byte, what the commit's tree says. What cannot be proven is not clean.
"""

import os
import re
from collections.abc import Sequence
from functools import cached_property

from prodigy.git.cli import Git, readable
from prodigy.git.index_file import Folders, folders_of

_TAB = b"\t"
_KEPT = 4
"""Commits whose listing is remembered: agents of a phase begin with the same one."""
_SKIPPED = re.compile(rb"(^|\0)S ")
_SUBMODULE = b"160000 "
_ENTRY = re.compile(rb"(\d+) \w+ ([0-9a-f]+)\t")


class Listing:
    """What a commit holds; each view is made when it is first asked for.

    Args:
        entries: as ``git ls-tree -r`` tells them.
    """

    def __init__(self, entries: Sequence[bytes]) -> None:
        self._entries = entries

    @cached_property
    def text(self) -> bytes:
        """How a worktree is listed that holds the commit and nothing else."""
        return b"".join(_ENTRY.sub(rb"H \1 \2 0\t", entry, 1) + b"\0" for entry in self._entries)

    @cached_property
    def submodules(self) -> tuple[bytes, ...]:
        """Their paths."""
        return tuple(_path(entry) for entry in self._entries if entry.startswith(_SUBMODULE))

    @cached_property
    def folders(self) -> Folders:
        """The names in each folder."""
        return folders_of(_path(entry) for entry in self._entries)


class Verifier:
    """Compares worktrees with commits.

    Args:
        git: in the repository.
    """

    def __init__(self, git: Git) -> None:
        self._git = git
        self._expected: dict[str, Listing] = {}

    async def difference(
        self, git: Git, commit: str, keep: Sequence[str] = (), *, sparse: bool = False
    ) -> str | None:
        """What is not as in ``commit``, for people; ``None`` if there is nothing.

        Args:
            git: at the top of the worktree.
            commit: full id.
            keep: ignore patterns of files that may be there if git ignores them as well.
            sparse: whether files may be missing that a sparse checkout leaves out.
        """
        expected = await self._listing_of(commit)
        options = [f"--exclude={pattern}" for pattern in keep] or ["--directory"]
        listed = await git.run(
            "ls-files", "-z", "-v", "--stage", "--modified", "--deleted", "--others", *options
        )
        found = _SKIPPED.sub(rb"\1H ", listed.stdout) if sparse else listed.stdout
        if found != expected.text:
            return _first(found, expected.text)
        if keep:
            loose = (await git.run("ls-files", "-z", "--others", "--exclude-standard")).fields
            if loose:
                return f"{readable(loose[0])!r} is not ignored"
        return _populated(git.cwd, expected.submodules)

    async def folders(self, commit: str) -> Folders | None:
        """What lies where in a worktree that holds a commit; ``None`` if that has submodules."""
        listing = await self._listing_of(commit)
        return None if listing.submodules else listing.folders

    async def _listing_of(self, commit: str) -> Listing:
        expected = self._expected.pop(commit, None)
        if expected is None:
            tree = await self._git.run("ls-tree", "-r", "-z", "--full-tree", commit)
            expected = Listing(tree.fields)
        self._expected[commit] = expected  # the newest last
        while len(self._expected) > _KEPT:
            del self._expected[next(iter(self._expected))]
        return expected


def _path(entry: bytes) -> bytes:
    return entry.partition(_TAB)[2]


def _first(found: bytes, expected: bytes) -> str:
    """The first entry that is in one listing and not in the other."""
    here, there = found.split(b"\0"), set(expected.split(b"\0"))
    for entry in here:
        if entry in there or not entry:
            continue
        tag, _, rest = entry.partition(b" ")
        if tag.islower() or tag == b"S":
            return f"{readable(rest.rpartition(_TAB)[2])!r} is marked assume-unchanged or skip-worktree"
        return f"{readable(rest.rpartition(_TAB)[2])!r} is not as committed"
    return "a file of the commit is not in the index"


def _populated(path: str, submodules: Sequence[bytes]) -> str | None:
    """A submodule that holds something: git looks into none that it did not fill itself."""
    for name in submodules:
        try:
            filled = bool(os.listdir(os.path.join(os.fsencode(path), name)))  # noqa: PTH208, PTH118 - bytes
        except FileNotFoundError:
            continue
        if filled:
            return f"the submodule {readable(name)!r} is not empty"
    return None
