"""A worktree in which git itself merges, where a repository wants a say in it.

Rules: git's own ``merge`` runs, with the user's hooks, drivers, filters and signature; no branch is checked out and none
moves. The worktree is made when it is needed first, stands on the last merge's result, and is made anew when in doubt.
One merge at a time.
"""

import os
import time
from collections.abc import Mapping
from pathlib import Path

import trio

from prodigy.errors import RunError
from prodigy.git import evidence
from prodigy.git.cli import Git, GitResult, readable
from prodigy.git.reuse import SlotDoubtful, Worktree
from prodigy.git.worktrees import Worktrees

PATIENCE_S = 600.0
"""How long a merge may take with all its hooks: one that waits for somebody must not hold up the others for ever."""

_LATER_S = 60.0

FORWARD = ("--ff-only",)
TRUE_MERGE = ("--no-ff", "--commit", "--no-squash", "--no-edit")


Conflicting = tuple[str, ...]
"""Paths at which both sides collide."""


class Bench:
    """Merges in a worktree of its own.

    Args:
        git: in the repository.
        worktrees: makes, resets and removes it.
        path: where it lies.
    """

    def __init__(self, git: Git, worktrees: Worktrees, path: str) -> None:
        self._git = git
        self._worktrees = worktrees
        self._path = path
        self._worktree: Worktree | None = None
        self._head: str | None = None
        """What it stands on, clean, if that is certain."""

    async def merge(
        self, tip: str, source: str, message: str, identity: Mapping[str, str], *, forward: bool
    ) -> str | Conflicting:
        """The commit that git's merge of ``source`` into ``tip`` makes, or what conflicts.

        Args:
            tip: full commit id.
            source: full commit id.
            message: of the merge commit; hooks may change it.
            identity: environment that names author and committer where git has no name for them.
            forward: ``source`` contains ``tip``; no commit is made, and what follows a merge runs.

        Raises:
            RunError: ``merge-refused``: a hook, a driver, a filter or the signature said no, or did not end.
        """
        how = FORWARD if forward else (*TRUE_MERGE, "-m", message)
        certain = self._head == tip
        done = await self._attempt(tip, source, how, identity)
        if certain and isinstance(done, GitResult):  # hooks may have changed files after the merge before
            done = await self._attempt(tip, source, how, identity)
        if isinstance(done, GitResult):
            raise _refused(done)
        return done

    async def close(self) -> None:
        """Remove the worktree, if there is one."""
        if self._worktree is not None:
            self._worktree = self._head = None
            await self._worktrees.remove(self._path)

    async def _attempt(
        self, tip: str, source: str, how: tuple[str, ...], identity: Mapping[str, str]
    ) -> str | Conflicting | GitResult:
        here = await self._at(tip)
        self._head = None
        done = await _run(here, source, how, identity)
        if done.code == 0:
            self._head = await evidence.head(here)
            return self._head
        unmerged = await here.run("diff", "--name-only", "--diff-filter=U", "-z", ok=None)
        if unmerged.fields:
            return tuple(map(readable, unmerged.fields))
        return done

    async def _at(self, tip: str) -> Git:
        """Git in the worktree, which stands on ``tip`` without a branch."""
        here = self._git.inside(self._path)
        if self._head == tip and Path(self._path, ".git").exists():
            return here
        if self._worktree is not None:
            try:
                await self._worktrees.reset(self._worktree, tip)
            except SlotDoubtful:
                self._worktree = None
        if self._worktree is None:
            self._worktree = await self._worktrees.renew(self._path, tip)
            await trust_index(here)
        return here


async def trust_index(here: Git) -> None:
    """Let git believe its index about the files of a fresh worktree: it is made younger than all of them.

    Git looks again into files that are not older than the index, and by attributes which commits may not keep to (line
    ends, filters) they differ from what they were just made of; it would not merge over them.
    """
    index = (await here.run("rev-parse", "--git-path", "index")).path
    later = time.time() + _LATER_S
    os.utime(Path(here.cwd, index), (later, later))


async def _run(here: Git, source: str, how: tuple[str, ...], identity: Mapping[str, str]) -> GitResult:
    # The branch is a run's own: what the user demands of merges into theirs is for the last one.
    options = ("--quiet", "--no-stat", "--no-autostash", "--no-verify-signatures")
    with trio.move_on_after(PATIENCE_S):
        return await here.run("merge", *options, *how, source, env=identity, ok=None)
    return GitResult(1, b"", b"it still ran after %d s" % PATIENCE_S)


def _refused(done: GitResult) -> RunError:
    words = done.complaint or readable(done.stdout).strip() or f"exit code {done.code}"
    lines = words.splitlines()
    return RunError(
        "merge-refused",
        f"git, or a hook of the repository, refused the merge: {lines[0]}",
        note=words if len(lines) > 1 else None,
    )
