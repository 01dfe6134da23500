"""Worktrees made, reused and removed: the one owner of a repository's shared git metadata.

Rules:

- What lies in the repository's shared part (the list of worktrees, packed refs) changes under one lock, serially over
  all processes. What is a worktree's own (HEAD, index, files) and the creation of a branch are left to git's own
  locks: they do not collide, and a reset of a large tree must not hold up others.
- A worktree is reused only if it is beyond doubt (`prodigy.git.reuse`); if it is not, `renew` makes it anew.
- Only worktrees and branches named by the caller are touched. The user's hooks do not run for our own housekeeping.
"""

import os
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

import trio

from prodigy.crash_points import crash_point
from prodigy.errors import InternalError
from prodigy.git.cli import Git, GitFailed
from prodigy.git.disks import Disks
from prodigy.git.metadata_lock import MetadataLock
from prodigy.git.patience import patiently
from prodigy.git.private_folder import (
    NotAWorktree,
    delete_tree,
    let_go,
    on_branch,
    private_folder,
    sweep,
    ties_of,
    unlock,
    unlock_ref,
)
from prodigy.git.repository import Registration, common_dir, worktrees_of
from prodigy.git.restoring import Restorer
from prodigy.git.reuse import Reuse, SlotDoubtful, Worktree, place
from prodigy.git.traces import Basis, Residue

_ADMINISTRATIVE = ("core.hooksPath=/dev/null", "submodule.recurse=false", "advice.detachedHead=false")

_UNMERGED = ": unmerged ("
"""What git says of an index that holds a merge which is not finished."""


class Worktrees:
    """Makes, reuses and removes the worktrees of one repository.

    Args:
        git: in the repository's main worktree, or in a bare repository.
        lock: the file that runs on this repository share.
        restorer: writes files without a process, if there is one.
    """

    def __init__(self, git: Git, lock: Path, restorer: Restorer | None = None) -> None:
        self._git = git.having(*_ADMINISTRATIVE)
        self._lock = MetadataLock(lock)
        self._disks = Disks()
        self._shared: str | None = None
        self._reuse = Reuse(self._git, restorer)

    async def add(self, path: str, commit: str, branch: str | None = None) -> Worktree:
        """Make a worktree with ``commit`` checked out, on a new branch or detached; it is on disk then.

        Raises:
            GitFailed: the folder or the branch exists already, or the disk is full.
        """
        await trio.to_thread.run_sync(_make_parents, path)
        async with self._lock.held():
            await patiently(
                lambda: self._git.run("worktree", "add", "--quiet", *place(branch), "--", path, commit)
            )
        await self._disks.flush(path, await self._common_dir())
        made = self.open(path)
        await self._reuse.begin(made, commit)
        return made

    def open(self, path: str) -> Worktree:
        """A worktree that exists, taken as it is.

        Raises:
            SlotDoubtful: it is not one.
        """
        try:
            git_dir = private_folder(path)
            return Worktree(path, git_dir, ties_of(path, git_dir))
        except (NotAWorktree, OSError) as problem:
            raise SlotDoubtful(path, "it has no usable .git file") from problem

    def stands(self, path: str) -> bool:
        """Whether there is a worktree that git knows."""
        with suppress(SlotDoubtful):
            return Path(self.open(path).git_dir, "HEAD").exists()
        return False

    async def reset(
        self,
        worktree: Worktree,
        commit: str,
        branch: str | None = None,
        keep: Sequence[str] = (),
        residue: Residue | None = None,
    ) -> None:
        """Make a used worktree as good as new; see `prodigy.git.reuse.Reuse.reset`."""
        await self._reuse.reset(worktree, commit, branch, keep, residue)

    def basis(self, worktree: Worktree, commit: str) -> Basis | None:
        """What was kept of a worktree that holds a commit before anybody worked in it, if anything was."""
        return self._reuse.basis(worktree, commit)

    async def verify_clean(
        self, worktree: Worktree, commit: str, branch: str | None = None, keep: Sequence[str] = ()
    ) -> None:
        """See that a worktree holds nothing but a commit; see `prodigy.git.reuse.Reuse.verify_clean`."""
        await self._reuse.verify_clean(worktree, commit, branch, keep)

    async def renew(
        self,
        path: str,
        commit: str,
        branch: str | None = None,
        obsolete: Sequence[str] = (),
    ) -> Worktree:
        """Throw a worktree away, with the ``obsolete`` branches, and make it anew.

        Those branches are the caller's alone: a lock on one is left from a process that was killed, and goes too.
        """
        for ref in [await self._ref(name) for name in obsolete]:
            await trio.to_thread.run_sync(unlock_ref, ref)
        await self.remove(path, obsolete)
        return await self.add(path, commit, branch)

    async def remove(self, path: str, branches: Sequence[str] = ()) -> tuple[str, ...]:
        """Remove a worktree and branches; whatever is gone already is fine.

        Returns:
            The branches that are gone now. One that another worktree has checked out stays.
        """
        if _lies_in(self._git.cwd, path):
            raise InternalError("worktree-error", "a repository is not a worktree to remove", where=path)
        await trio.to_thread.run_sync(delete_tree, path)
        async with self._lock.held():
            await patiently(lambda: self._unregister(path))
        return await self.delete_branches(branches)

    async def delete_branches(self, branches: Sequence[str]) -> tuple[str, ...]:
        """Delete branches, merged or not, except those that a worktree has checked out; returns what is gone now."""
        if not branches:
            return ()
        refs = [f"refs/heads/{branch}" for branch in branches]
        async with self._lock.held():
            listed = await self._git.run(
                "for-each-ref", "--format=%(refname)%00%(worktreepath)%00", "--", *refs
            )
            fields = [os.fsdecode(field.removeprefix(b"\n")) for field in listed.fields]
            holders = dict(zip(fields[::2], fields[1::2], strict=True))
            free = [ref for ref in refs if holders.get(ref) == ""]
            orders = b"".join(b"delete %b\0\0" % os.fsencode(ref) for ref in free)
            if orders:
                await patiently(lambda: self._git.run("update-ref", "--stdin", "-z", stdin=orders))
        return tuple(branch for branch, ref in zip(branches, refs, strict=True) if not holders.get(ref))

    async def branches(self, prefix: str) -> tuple[str, ...]:
        """The local branches whose name begins with ``prefix``."""
        listed = await self._git.run(
            "for-each-ref", "--format=%(refname:lstrip=2)%00", f"refs/heads/{prefix}*"
        )
        return tuple(os.fsdecode(field.removeprefix(b"\n")) for field in listed.fields)

    async def move_branch(self, branch: str, commit: str) -> None:
        """Point a branch of ours at ``commit``; worktrees that stand on it are not brought along."""
        ref = f"refs/heads/{branch}"
        await patiently(lambda: self._git.run("update-ref", "-m", "prodigy: move", ref, commit))

    async def registered(self, under: str) -> list[Registration]:
        """The worktrees on git's list whose path lies below the folder ``under``."""
        return [entry for entry in await worktrees_of(self._git) if _lies_in(entry.path, under)]

    async def leave_strange_branch(self, path: str, own: str) -> None:
        """Let go of whatever branch a worktree stands on that is not its ``own``.

        Raises:
            SlotDoubtful: there is none.
        """
        with suppress(OSError, NotAWorktree):
            if on_branch(private_folder(path), own):
                return
        await self.detach(self.open(path))

    async def detach(self, worktree: Worktree) -> None:
        """Let go of the branch, so that it can move without the files seeming to change."""
        with suppress(OSError):  # git says why, or waits
            if await trio.to_thread.run_sync(let_go, worktree.git_dir):
                return
        await self._within(worktree).run("checkout", "--quiet", "--detach", "--")

    async def sync(self, worktree: Worktree, branch: str) -> None:
        """Stand on ``branch`` again, files brought up to its tip, and all of it on disk; untracked and ignored files stay.

        That somebody else has a branch of ours checked out, to look at it, is no reason to stop.

        Raises:
            GitFailed: uncommitted changes are in the way; nothing was changed.
        """
        git = self._within(worktree)
        await git.run("checkout", "--quiet", "--no-guess", "--ignore-other-worktrees", branch, "--")
        await self._disks.flush(worktree.path, await self._common_dir())

    async def overwrite(self, worktree: Worktree, branch: str | None, *settings: str) -> None:
        """As `sync`, over changes and unfinished operations; the caller has rescued what they hold.

        Without a branch it is let go of, and the files become those of HEAD. Ignored files stay; ``settings`` say what
        is ignored beyond the usual.
        """
        await trio.to_thread.run_sync(sweep, worktree.git_dir)
        git = self._within(worktree).having(*settings)
        onto = ("--no-guess", "--ignore-other-worktrees", "--force")
        place = (*onto, branch) if branch is not None else ("--force", "--detach")
        await git.run("checkout", "--quiet", *place, "--")
        await git.run("clean", "-ffd", "--quiet")

    async def mend(self, worktree: Worktree, branch: str) -> None:
        """Put a worktree right that nobody works in, after whoever did was killed or the power was lost; files stay.

        Git's own locks in it and on its branch, which nobody but its owner moves, are removed. An index that cannot be
        read, or names what is not there, is made anew from HEAD.
        """
        await trio.to_thread.run_sync(unlock, worktree.git_dir, await self._ref(branch))
        git = self._within(worktree)
        written = await git.run("write-tree", ok=None)
        if written.code != 0 and _UNMERGED not in written.complaint:
            with crash_point("index.remove"):
                Path(worktree.git_dir, "index").unlink(missing_ok=True)
            await git.run("reset", "--quiet", "--mixed")

    async def _ref(self, branch: str) -> Path:
        """The file that a branch is kept in, where refs are kept in files."""
        return Path(await self._common_dir(), "refs", "heads", branch)

    async def _common_dir(self) -> str:
        """What all worktrees share; git is asked once."""
        if self._shared is None:
            self._shared = await common_dir(self._git)
        return self._shared

    def _within(self, worktree: Worktree) -> Git:
        return self._git.inside(worktree.path)

    async def _unregister(self, path: str) -> None:
        """Take a folder that is gone off git's list."""
        gone = await self._git.run("worktree", "remove", "--force", "--force", "--", path, ok=None)
        if gone.code != 0 and "is not a working tree" not in gone.complaint:
            raise GitFailed(("worktree", "remove"), self._git.cwd, gone)


def _make_parents(path: str) -> None:
    with crash_point("worktree.parents"):
        Path(path).parent.mkdir(mode=0o700, parents=True, exist_ok=True)


def remove_empty(folder: Path, up_to: Path) -> None:
    """Remove ``folder`` and its parents below ``up_to``, as far as they are empty; some may be gone already."""
    while folder != up_to:
        try:
            with crash_point("folder.remove"), suppress(FileNotFoundError):
                folder.rmdir()
        except OSError:
            return
        folder = folder.parent


def _lies_in(path: str, parent: str) -> bool:
    return Path(os.path.realpath(path)).is_relative_to(os.path.realpath(parent))
