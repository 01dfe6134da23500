"""What steps left in a worktree: one look at its files, for evidence and for whoever makes it as good as new.

The look compares every file with the index that was kept when the worktree was beyond doubt
(`prodigy.git.pristine`), which no step has had in its hands, and every folder that was changed since with the commit.
What differs are the traces. Where the steps' own index says of all other files what the kept one does, only traces can be uncommitted, and
git is asked about them alone, or not at all if they are all as committed.

Rules: workers use this module: no pygit2. Nobody works in the worktree meanwhile. Whatever is unusual is left to `git
status`: it is never guessed.
"""

import hashlib
import os
import stat
import time
from collections.abc import Callable, Collection, Iterator
from functools import partial
from pathlib import Path
from typing import Self

import trio
from msgspec import Struct

from prodigy.git.cli import Git
from prodigy.git.evidence import Snapshot, snapshot
from prodigy.git.index_file import Layout, Layouts, Variation, differing, has_mode, is_as_seen, root_tree
from prodigy.git.private_folder import NotAWorktree, private_folder, standing

_MOST = 200
"""Traces beyond which git looks at everything as quickly."""
_READ = 1 << 20
"""Bytes of a file that is worth reading here."""
_TELLING = frozenset({b".git", b".gitattributes", b".gitmodules"})
"""Names that may decide what git says of other files."""
_COARSE_NS = 2_000_000_000
"""How far the dates of files may lag behind the clock."""


class Moment(Struct, frozen=True):
    """A time on two clocks, in nanoseconds; by the second one sees whether the first was set."""

    real: int
    steady: int

    @classmethod
    def now(cls) -> Self:
        """This moment."""
        return cls(time.time_ns(), time.monotonic_ns())

    @property
    def surely_before(self) -> int:
        """What the file system dates earlier than this was so at that moment; 0 if the clock has been set since."""
        now = Moment.now()
        drift = abs((now.real - self.real) - (now.steady - self.steady))
        return self.real - _COARSE_NS if drift < _COARSE_NS // 2 else 0


class Basis(Struct, frozen=True, kw_only=True):
    """How a worktree was when it was beyond doubt."""

    commit: str
    index: str
    """The kept index, in the worktree's private folder."""
    since: Moment
    """When it held the commit and nothing else."""


class Residue(Struct, frozen=True):
    """How a worktree is not as it was."""

    touched: tuple[bytes, ...]
    """Files of the commit that are changed, replaced, or gone."""
    added: tuple[bytes, ...]
    """Files and folders that the commit has not."""
    committed: bool = False
    """Whether it was committed after the look, so that hooks and filters may have written since, if there are any."""


class Traces(Struct, frozen=True):
    """What a look found."""

    snapshot: Snapshot
    residue: Residue


class Tracker:
    """Looks at one worktree.

    Args:
        git: at its top.
        basis: how it was.
        layouts: shared with others.
        tree_of: the tree of a commit, if that is known without a process.
    """

    def __init__(
        self, git: Git, basis: Basis, layouts: Layouts, tree_of: Callable[[str], str | None]
    ) -> None:
        self._git = git
        self._basis = basis
        self._layouts = layouts
        self._tree_of = tree_of

    async def look(self) -> Traces | None:
        """What there is; ``None`` if that is for git alone to say."""
        try:
            kept = await trio.to_thread.run_sync(Path(self._basis.index).read_bytes)
            layout = self._layouts.of(self._basis.commit, kept)
            unchanged = self._basis.since.surely_before
            listing = partial(_strangers, os.fsencode(self._git.cwd), layout, unchanged)
            added, strangers = await trio.to_thread.run_sync(listing)
            residue = Residue(await self._touched(), added)
        except (OSError, ValueError):
            return None
        paths = {*residue.touched, *strangers}
        if len(paths) > _MOST or any(path.rpartition(b"/")[2] in _TELLING for path in residue.touched):
            return None
        judge = partial(_Judge(self._git.cwd, self._basis, self._tree_of).judge, kept, layout, paths)
        match await trio.to_thread.run_sync(judge):
            case Snapshot() as found:
                return Traces(found, residue)
            case within:
                return Traces(await snapshot(self._git, within=within), residue)

    async def _touched(self) -> tuple[bytes, ...]:
        """The files that are not as the kept index has them.

        Raises:
            ValueError: git could not look at all of them.
        """
        index = {"GIT_INDEX_FILE": self._basis.index}
        listed = await self._git.run("diff-files", "-z", "--name-only", "--no-ext-diff", env=index, ok=None)
        if listed.code != 0 or listed.stderr:
            raise ValueError(listed.complaint)
        return tuple(listed.fields)


class _Judge:
    """Says what git would say of the traces, or which paths it has to be asked about."""

    def __init__(self, worktree: str, basis: Basis, tree_of: Callable[[str], str | None]) -> None:
        self._worktree = worktree
        self._basis = basis
        self._tree_of = tree_of

    def judge(self, kept: bytes, layout: Layout, paths: Collection[bytes]) -> Snapshot | tuple[str, ...]:
        """The answer, or paths beside which nothing can be uncommitted; no paths: anything can."""
        try:
            return self._judged(kept, layout, paths)
        except (OSError, ValueError, NotAWorktree):
            return ()

    def _judged(self, kept: bytes, layout: Layout, paths: Collection[bytes]) -> Snapshot | tuple[str, ...]:
        git_dir = os.path.dirname(self._basis.index)  # noqa: PTH120 - text
        if private_folder(self._worktree) != git_dir:
            return ()
        head, branch = standing(git_dir)
        index = Path(git_dir, "index")
        own, written_s = index.read_bytes(), index.stat().st_mtime_ns // 1_000_000_000
        variation = differing(kept, layout, own, paths)
        if variation is None:
            return ()
        root, at_basis = root_tree(own, variation.end), head == self._basis.commit
        committed = root is not None and root == self._tree_of(head)
        if not (committed or at_basis):
            return ()
        asked = (path for path in paths if not (committed and self._is_committed(path, variation, written_s)))
        within = tuple(os.fsdecode(path) for path in sorted(asked))
        return within or Snapshot(head, branch, ())

    def _is_committed(self, path: bytes, own: Variation, written_s: int) -> bool:
        """Whether a file is what the steps' own index, which was written in that second, says."""
        entry = own.entries.get(path)
        place = os.path.join(os.fsencode(self._worktree), path)  # noqa: PTH118 - bytes
        try:
            found = os.lstat(place)
        except (FileNotFoundError, NotADirectoryError):
            return entry is None
        if entry is None or not entry.plain or not has_mode(entry, found):
            return False
        if is_as_seen(entry, found) and entry.modified_s < written_s:
            return True
        return stat.S_ISREG(found.st_mode) and found.st_size <= _READ and _blob(place) == entry.oid


def _blob(place: bytes) -> bytes:
    """The id of a file's content as it stands."""
    with open(place, "rb") as file:  # noqa: PTH123 - bytes
        content = file.read()
    return hashlib.sha1(b"blob %d\0%b" % (len(content), content), usedforsecurity=False).digest()


def _strangers(worktree: bytes, layout: Layout, unchanged: int) -> tuple[tuple[bytes, ...], frozenset[bytes]]:
    """What lies in the commit's folders beside its own, and all files that this is.

    Nothing does in folders that nobody has added to or taken from since ``unchanged``, in nanoseconds.

    Raises:
        OSError, ValueError: a folder of the commit is none any more, or there are too many.
    """
    added: list[bytes] = []
    found: set[bytes] = set()
    for folder, names in layout.folders.items():
        place = os.path.join(worktree, folder)  # noqa: PTH118 - bytes
        looked = os.lstat(place)
        if not stat.S_ISDIR(looked.st_mode):
            raise ValueError(folder)
        if looked.st_ctime_ns < unchanged:
            continue
        for name in set(os.listdir(place)) - names:  # noqa: PTH208 - bytes
            added.append(folder + b"/" + name if folder else name)
            for file in _files(os.path.join(place, name), name):  # noqa: PTH118 - bytes
                found.add(os.path.relpath(file, worktree))
                if len(found) > _MOST:
                    raise ValueError("there are too many")
    return tuple(added), frozenset(found)


def _files(place: bytes, name: bytes) -> Iterator[bytes]:
    """A file, or all that lie in a folder.

    Raises:
        ValueError: one may decide what git says of others.
    """
    if name in _TELLING:
        raise ValueError(place)
    if not stat.S_ISDIR(os.lstat(place).st_mode):
        yield place
        return
    with os.scandir(place) as entries:
        for entry in entries:
            yield from _files(entry.path, entry.name)
