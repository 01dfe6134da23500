"""How worktrees were when they were last beyond doubt, and the short way back to that.

What is kept is the index as git wrote it then, in a file beside the worktree's own, and what the file system says of
that file. One git, reading that index and not the one that steps have had in their hands, looks at every file there is
and writes anew what is not the one it knows; what lies beside them is listed and deleted. So afterwards the worktree
holds the commit and nothing else, whatever was done to its files or to its index.

Rules: only for worktrees that nobody works in. A kept index that anybody has touched is none. Where a commit has
submodules, a checkout is sparse or an index is in parts, nothing is kept.
"""

import os
import shutil
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path

from msgspec import Struct

from prodigy.crash_points import crash_point
from prodigy.git.cli import Git
from prodigy.git.index_file import Folders
from prodigy.git.private_folder import KEPT_INDEX, delete_tree
from prodigy.git.restoring import Restorer
from prodigy.git.traces import Basis, Moment, Residue


class _Kept(Struct, frozen=True):
    commit: str
    stamp: tuple[int, ...]
    since: Moment


class Pristine:
    """Knows the worktrees of one owner, by their private folders.

    Args:
        restorer: writes files without a process, if there is one.
    """

    def __init__(self, restorer: Restorer | None = None) -> None:
        self._restorer = restorer
        self._kept: dict[str, _Kept] = {}

    def keep(self, git_dir: str, commit: str) -> None:
        """Remember a worktree that holds a commit and nothing else, before anybody works in it, if the disk has room."""
        self.forget(git_dir)
        with suppress(OSError):
            names = os.listdir(git_dir)  # noqa: PTH208 - they are all that is wanted
            if "index" in names and not any(name.startswith("sharedindex.") for name in names):
                _copy(Path(git_dir, "index"), Path(git_dir, KEPT_INDEX))
                self._remember(git_dir, commit)

    def forget(self, git_dir: str) -> None:
        """Know nothing of a worktree any more."""
        self._kept.pop(git_dir, None)

    def basis(self, git_dir: str, commit: str) -> Basis | None:
        """What there is to go by on the short way back to a commit; ``None`` if there is nothing."""
        kept = self._kept.get(git_dir)
        if kept is None or (kept.commit, kept.stamp) != (commit, _stamp(git_dir)):
            return None
        return Basis(commit=commit, index=f"{git_dir}/{KEPT_INDEX}", since=kept.since)

    async def counts(self, residue: Residue, commit: str) -> bool:
        """Whether nothing can have been written after the look: no hook or filter ran when it was committed."""
        if not residue.committed:
            return True
        return self._restorer is not None and not await self._restorer.commits_write(commit)

    async def rewrite(self, git: Git, git_dir: str, commit: str, residue: Residue | None = None) -> None:
        """Write anew whatever is not as it was kept; half of the way back.

        Args:
            git: at the top of the worktree.
            git_dir: its private folder.
            commit: that was kept.
            residue: how the worktree is not as it was, if that is known; without it git looks.

        Raises:
            GitFailed, OSError: files could not be written.
        """
        self.forget(git_dir)
        kept = f"{git_dir}/{KEPT_INDEX}"
        if residue is not None and await self._restored(git.cwd, kept, commit, residue.touched):
            return
        index = {"GIT_INDEX_FILE": kept}
        which = ("--all",) if residue is None else ("-z", "--stdin")
        names = b"" if residue is None else b"".join(path + b"\0" for path in residue.touched)
        await git.run("checkout-index", "--force", "--index", "--quiet", *which, stdin=names, env=index)

    async def _restored(self, path: str, kept: str, commit: str, touched: Sequence[bytes]) -> bool:
        if touched and self._restorer is not None:
            return await self._restorer.restore(path, kept, commit, touched)
        return not touched

    def finish(
        self, path: str, git_dir: str, commit: str, folders: Folders, residue: Residue | None = None
    ) -> str | None:
        """Delete what the commit has not; the other half. What stands against the worktree then, for people.

        Args:
            path: of the worktree.
            git_dir: its private folder.
            commit: that it holds.
            folders: of the commit.
            residue: as for `rewrite`.
        """
        worktree = os.fsencode(path)
        try:
            strangers = _strangers(worktree, folders) if residue is None else _added(worktree, residue)
            for stranger in strangers:
                delete_tree(os.fsdecode(stranger))
            _copy(Path(git_dir, KEPT_INDEX), Path(git_dir, "index"))
        except (OSError, ValueError) as problem:
            return str(problem)
        self._remember(git_dir, commit)
        return None

    def _remember(self, git_dir: str, commit: str) -> None:
        self._kept[git_dir] = _Kept(commit, _stamp(git_dir), Moment.now())


def _strangers(worktree: bytes, folders: Folders) -> Iterator[bytes]:
    """Paths of what a commit has not.

    Raises:
        ValueError: something is missing.
        OSError: a folder cannot be looked into.
    """
    for folder, names in folders.items():
        place = worktree + b"/" + folder
        found = os.listdir(place)  # noqa: PTH208 - bytes
        if not names.issubset(found):
            raise ValueError("a file of the commit is missing")
        if len(found) > len(names):
            yield from (place + b"/" + name for name in found if name not in names)


def _added(worktree: bytes, residue: Residue) -> Iterator[bytes]:
    return (worktree + b"/" + path for path in residue.added)


def _stamp(git_dir: str) -> tuple[int, ...]:
    """What changes whenever the kept index does."""
    try:
        found = os.lstat(f"{git_dir}/{KEPT_INDEX}")
    except OSError:
        return ()
    return found.st_ino, found.st_size, found.st_mtime_ns, found.st_ctime_ns, found.st_mode


def _copy(index: Path, to: Path) -> None:
    """Copy an index with its time, by which git knows the files that it has to read again."""
    lock = to.with_name(f"{to.name}.lock")
    with crash_point("index.copy"):
        shutil.copy2(index, lock)
    with crash_point("index.replace"):
        lock.replace(to)
