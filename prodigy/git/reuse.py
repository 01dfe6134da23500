"""Worktrees that somebody worked in, made as good as new or refused.

Rules: a worktree is reused only if it is beyond doubt. The files that tie it to its repository are byte for byte as made,
everything else in its private folder is swept, and git itself says that nothing is changed, untracked or ignored (but
for ignored files that its owner asked to keep), or has brought back what it knows (`prodigy.git.pristine`). Doubt is
`SlotDoubtful`.
"""

import os
from collections.abc import Sequence
from pathlib import Path

import trio
from msgspec import Struct

from prodigy.errors import RunError
from prodigy.git import evidence
from prodigy.git.cli import Git, GitFailed
from prodigy.git.patience import patiently
from prodigy.git.pristine import Pristine
from prodigy.git.private_folder import forget_moves, stands_on, sweep, ties_of
from prodigy.git.refs import create_branch, keeps_files, point_head
from prodigy.git.restoring import Restorer
from prodigy.git.traces import Basis, Residue
from prodigy.git.verification import Verifier

_SPARSE = "info/sparse-checkout"


class SlotDoubtful(RunError):
    """A worktree cannot be proven to be as its next user expects it; make it anew."""

    def __init__(self, path: str, reason: str) -> None:
        super().__init__("worktree-error", f"the worktree is not as it should be: {reason}", where=path)
        self.path = path
        self.reason = reason


class Worktree(Struct, frozen=True):
    """A worktree of ours and what ties it to its repository."""

    path: str
    git_dir: str
    """Its private folder below the repository's ``worktrees/``."""
    ties: dict[str, bytes]
    """The content of ``.git`` and of the private files that must never change."""


class Reuse:
    """Of the worktrees of one repository.

    Args:
        git: in it, with settings that keep the user's hooks out.
        restorer: writes files without a process, if there is one.
    """

    def __init__(self, git: Git, restorer: Restorer | None = None) -> None:
        self._git = git
        self._verifier = Verifier(git)
        self._pristine = Pristine(restorer)

    async def begin(self, worktree: Worktree, commit: str) -> None:
        """Know a worktree that holds a commit and nothing else, before anybody works in it."""
        if _SPARSE not in worktree.ties:
            await trio.to_thread.run_sync(self._pristine.keep, worktree.git_dir, commit)

    def basis(self, worktree: Worktree, commit: str) -> Basis | None:
        """What a worktree goes by to get back to a commit the short way; ``None`` if it cannot."""
        return self._pristine.basis(worktree.git_dir, commit)

    async def reset(
        self,
        worktree: Worktree,
        commit: str,
        branch: str | None = None,
        keep: Sequence[str] = (),
        residue: Residue | None = None,
    ) -> None:
        """Make a used worktree as good as new: ``commit`` on a new branch (or detached), and nothing else.

        The caller has rescued what is to be kept, and no process works in it any more. What git ignores and ``keep``
        (ignore patterns) names stays. ``residue`` is how it is not as when it was reset last, if somebody has looked since
        the last process ended (`prodigy.git.traces`); then nobody looks again.

        Raises:
            SlotDoubtful: it could not be done, or not be proven.
        """
        _begin(worktree)
        try:
            known = not keep and self._pristine.basis(worktree.git_dir, commit) is not None
            if not (known and await self._go_back(worktree, commit, branch, residue)):
                await self._go(worktree, commit, branch, keep)
        except GitFailed as failure:
            raise SlotDoubtful(worktree.path, failure.message) from failure
        except OSError as error:
            raise SlotDoubtful(worktree.path, str(error)) from error

    async def _go_back(
        self, worktree: Worktree, commit: str, branch: str | None, residue: Residue | None
    ) -> bool:
        """Reset to the commit that the worktree was reset to before; false if that cannot be done so."""
        folders = await self._verifier.folders(commit)
        if folders is None:
            return False
        if residue is not None and not await self._pristine.counts(residue, commit):
            residue = None
        await self._pristine.rewrite(self._within(worktree), worktree.git_dir, commit, residue)

        def finish() -> bool:
            difference = self._pristine.finish(worktree.path, worktree.git_dir, commit, folders, residue)
            if difference is not None:
                raise SlotDoubtful(worktree.path, difference)
            if not (_switch(worktree, branch, commit) and stands_on(worktree.git_dir, branch, commit)):
                return False
            forget_moves(worktree.git_dir)
            return True

        return await trio.to_thread.run_sync(finish)

    async def _go(self, worktree: Worktree, commit: str, branch: str | None, keep: Sequence[str]) -> None:
        """Reset to any commit, from any other."""
        git = self._within(worktree)
        # Only what differs between two commits is touched, where `checkout` looks at every file there is.
        stepped = await git.run("read-tree", "-m", "-u", "HEAD", commit, ok=None)
        difference = await self._cleaned(worktree, commit, keep) if stepped.code == 0 else stepped.complaint
        if difference is not None or not await trio.to_thread.run_sync(_switch, worktree, branch, commit):
            await patiently(lambda: git.run("checkout", "--quiet", "--force", *place(branch), commit, "--"))
            difference = await self._cleaned(worktree, commit, keep)
        await self._require(worktree, commit, branch, difference)
        await trio.to_thread.run_sync(forget_moves, worktree.git_dir)
        if not keep:
            await self.begin(worktree, commit)

    async def verify_clean(
        self, worktree: Worktree, commit: str, branch: str | None = None, keep: Sequence[str] = ()
    ) -> None:
        """Nothing, if the worktree holds ``commit`` and, but for ignored files that ``keep`` names, only that.

        Raises:
            SlotDoubtful: anything else.
        """
        try:
            difference = await self._difference(worktree, commit, keep)
        except GitFailed as failure:
            raise SlotDoubtful(worktree.path, failure.message) from failure
        await self._require(worktree, commit, branch, difference)

    async def _cleaned(self, worktree: Worktree, commit: str, keep: Sequence[str]) -> str | None:
        """What still differs when everything is gone that can be."""
        difference = None if keep else await self._difference(worktree, commit)
        if keep or difference is not None:
            git = self._within(worktree)
            await git.run("clean", "-ffdx", "--quiet", *_except(keep))
            if keep:  # only what is ignored as well
                await git.run("clean", "-ffd", "--quiet")
            difference = await self._difference(worktree, commit, keep)
        return difference

    async def _difference(self, worktree: Worktree, commit: str, keep: Sequence[str] = ()) -> str | None:
        sparse = _SPARSE in worktree.ties
        return await self._verifier.difference(self._within(worktree), commit, keep, sparse=sparse)

    async def _require(
        self, worktree: Worktree, commit: str, branch: str | None, difference: str | None
    ) -> None:
        """Nothing, if there is no difference and the worktree stands where it should."""
        if difference is not None:
            raise SlotDoubtful(worktree.path, difference)
        if await trio.to_thread.run_sync(_stands, worktree, branch, commit):
            return
        try:
            found = await evidence.snapshot(self._within(worktree))
        except GitFailed as failure:
            raise SlotDoubtful(worktree.path, failure.message) from failure
        if (found.head, found.branch) != (commit, branch):
            raise SlotDoubtful(worktree.path, f"it stands on {found.branch or 'no branch'} at {found.head}")

    def _within(self, worktree: Worktree) -> Git:
        return self._git.inside(worktree.path)


def place(branch: str | None) -> tuple[str, ...]:
    """Where HEAD goes: to a new branch that tracks nothing, or to the commit itself."""
    return ("--no-track", "-b", branch) if branch is not None else ("--detach",)


def _except(patterns: Sequence[str]) -> tuple[str, ...]:
    return tuple(f"--exclude={pattern}" for pattern in patterns)


def _require_ties(worktree: Worktree) -> None:
    try:
        same = (
            not Path(worktree.path, ".git").is_symlink()
            and ties_of(worktree.path, worktree.git_dir) == worktree.ties
        )
    except OSError:
        same = False
    if not same:
        raise SlotDoubtful(worktree.path, "what ties it to its repository is gone or was changed")
    if Path(worktree.git_dir, "modules").exists():
        raise SlotDoubtful(worktree.path, "it holds submodules")


def _begin(worktree: Worktree) -> None:
    """Before a reset: nothing is in doubt, and nothing in progress is left."""
    _require_ties(worktree)
    sweep(worktree.git_dir)


def _switch(worktree: Worktree, branch: str | None, commit: str) -> bool:
    """Stand on a new branch at a commit; false if that is git's to do, or to refuse."""
    common = Path(worktree.git_dir, os.fsdecode(worktree.ties["commondir"]).rstrip("\n"))
    if not keeps_files(common):
        return False
    try:
        if branch is not None:
            create_branch(common, branch, commit)
        point_head(worktree.git_dir, branch, commit)
    except OSError:
        return False
    return True


def _stands(worktree: Worktree, branch: str | None, commit: str) -> bool:
    _require_ties(worktree)
    return stands_on(worktree.git_dir, branch, commit)
