"""Putting right what a loss of power left of things that were being written.

Git syncs few of its files. What was not on disk yet is there by name and has no content: it is *hollow*. Git takes an
object of that kind for written, and does not write it again; it can do nothing with a ref or a worktree of that kind, and
sometimes nothing in the whole repository.

Rules: what is hollow is removed, since nobody can read it; of refs and worktrees only those of ours. A branch of ours that
leads to what is not there any more goes back to the last commit that its log knows and that is whole.
"""

import os
import re
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

import trio

from prodigy.crash_points import crash_point
from prodigy.git.cli import Git
from prodigy.git.metadata_lock import MetadataLock
from prodigy.git.private_folder import delete_tree
from prodigy.git.refs import logged, put_back, tip
from prodigy.git.repository import Repository

_FOLDER = re.compile("[0-9a-f]{2}")
_BRANCHES = "refs/heads/prodigy-*"
_RESCUED = "refs/prodigy/**/*"
_WORKTREES = ("session-*", "slot-*")
"""How git names the private folders of ours: by the last part of their paths."""
_NEEDED = ("commondir", "gitdir", "HEAD")


async def mend(git: Git, repository: Repository, lock: Path) -> None:
    """Put a repository right.

    Args:
        git: in it.
        repository: as it was discovered.
        lock: the file that runs on it share.
    """
    common = Path(repository.common_dir)
    await trio.to_thread.run_sync(_remove_hollow_objects, common)
    async with MetadataLock(lock).held():
        await trio.to_thread.run_sync(_remove_hollow_worktrees, common)
    if repository.ref_format == "files" and "partial" not in repository.traits:
        await trio.to_thread.run_sync(_remove_hollow_refs, common)
        await _put_back(git, common, repository.head)


def _remove_hollow_objects(common: Path) -> None:
    for folder in (common / "objects").iterdir():
        if _FOLDER.fullmatch(folder.name):
            with suppress(OSError), os.scandir(folder) as entries:  # it goes when all of it is packed
                for entry in entries:
                    if entry.stat(follow_symlinks=False).st_size == 0:
                        with crash_point("object.remove"):
                            Path(entry).unlink()


def _remove_hollow_worktrees(common: Path) -> None:
    for pattern in _WORKTREES:
        for folder in (common / "worktrees").glob(pattern):
            if any(_is_hollow(folder / name) for name in _NEEDED):
                delete_tree(str(folder))


def _remove_hollow_refs(common: Path) -> None:
    """Those of what was rescued: it has not been told yet."""
    for file in filter(_is_hollow, common.glob(_RESCUED)):
        with suppress(OSError):
            put_back(common, str(file.relative_to(common)), None)


async def _put_back(git: Git, common: Path, head: str) -> None:
    """Let branches lead to what is there."""
    refs = [str(file.relative_to(common)) for file in common.glob(_BRANCHES) if file.suffix != ".lock"]
    named = {ref: tip(common, ref) for ref in refs}
    readable = [commit for commit in named.values() if commit is not None]
    if len(readable) == len(refs) and await _are_whole(git, readable, head):
        return
    for ref, commit in named.items():
        if commit is None or not await _are_whole(git, [commit], head):
            before = [one for one in logged(common, ref) if await _are_whole(git, [one], head)]
            with suppress(OSError):  # it is locked, or cannot be written: who needs it says so
                put_back(common, ref, before[0] if before else None)


async def _are_whole(git: Git, commits: Sequence[str], head: str) -> bool:
    """Whether all is there that commits lead to, besides what ``head`` does."""
    if not commits:
        return True
    found = await git.run("rev-list", "--objects", "--quiet", *commits, f"^{head}", "--", ok=None)
    return found.code == 0


def _is_hollow(file: Path) -> bool:
    with suppress(OSError):
        return file.is_file() and file.stat().st_size == 0
    return False
