"""Putting right what a loss of power left of things that were being written.

Git syncs few of its files. What was not on disk yet is there by name and has no content: it is *hollow*. Git takes an
object of that kind for written, and does not write it again; it can do nothing with a ref or a worktree of that kind, and
sometimes nothing in the whole repository.

Rules: what is hollow is removed, since nobody can read it; of refs and worktrees only those of ours. A branch of ours that
leads to what is not there any more goes back to the last commit that its log knows and that is whole.
"""

import os
import re
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path

import trio

from prodigy import ids
from prodigy.crash_points import crash_point
from prodigy.git.cli import Git
from prodigy.git.metadata_lock import MetadataLock
from prodigy.git.private_folder import delete_tree, last_place, unlock_ref
from prodigy.git.refs import logged, point_head, put_back, tip
from prodigy.git.repository import Repository

_FOLDER = re.compile("[0-9a-f]{2}")
_OBJECT = re.compile("[0-9a-f]{38}|[0-9a-f]{62}")
"""The name of one in its folder; a git that is at work writes it under another."""
_BRANCHES = "refs/heads/prodigy-*"
_RESCUED = "refs/prodigy/**/*"
_WORKTREES = ("session-*", "slot-*")
"""How git names the private folders of ours: by the last part of their paths."""
_NOWHERE = "prodigy-mended"
"""A branch that there is not: git can look at a worktree that stands on it."""


async def mend(git: Git, repository: Repository, lock: Path, job: str | None = None) -> None:
    """Put a repository right.

    Args:
        git: in it.
        repository: as it was discovered.
        lock: the file that runs on it share.
        job: the run that is taken up again, if it is one: nobody works at it. Its branches and all objects are looked at
            more closely then, and git's locks on its refs go.
    """
    common = Path(repository.common_dir)
    look = _is_empty if job is None else _is_hollow
    await trio.to_thread.run_sync(_remove_hollow_objects, common, look)
    async with MetadataLock(lock).held():
        await trio.to_thread.run_sync(_mend_worktrees, common)
    if repository.ref_format == "files" and "partial" not in repository.traits:
        await trio.to_thread.run_sync(_clear_refs, common, job)
        await _put_back(git, common, repository.head, job)


def _remove_hollow_objects(common: Path, look: Callable[[Path], bool]) -> None:
    for folder in (common / "objects").iterdir():
        if _FOLDER.fullmatch(folder.name):
            with suppress(OSError), os.scandir(folder) as entries:  # it goes when all of it is packed
                for file in filter(look, (Path(one) for one in entries if _OBJECT.fullmatch(one.name))):
                    with crash_point("object.remove"):
                        file.unlink()


def _mend_worktrees(common: Path) -> None:
    """Point hollow HEADs where they were; what cannot be put right is no worktree any more."""
    for pattern in _WORKTREES:
        for folder in (common / "worktrees").glob(pattern):
            git_dir = str(folder)
            if any(_is_hollow(folder / name) for name in ("commondir", "gitdir")):
                delete_tree(git_dir)
            elif _is_hollow(folder / "HEAD"):
                with suppress(OSError):
                    point_head(git_dir, *(last_place(git_dir) or (_NOWHERE, "")))


def _clear_refs(common: Path, job: str | None) -> None:
    """Remove the locks of a run's refs, and hollow refs of what was rescued: that has not been told yet."""
    if job is not None:
        for place in (f"{_BRANCHES}{ids.tail_of(job)}*.lock", f"{ids.rescue_folder(job)}/**/*.lock"):
            for file in common.glob(place):
                unlock_ref(file.with_suffix(""))
    for file in common.glob(_RESCUED):
        if file.suffix == ".lock" or not _is_hollow(file):
            continue
        with suppress(OSError):
            put_back(common, str(file.relative_to(common)), None)


async def _put_back(git: Git, common: Path, head: str, job: str | None) -> None:
    """Let hollow branches, and those of a run that lead to what is gone, lead to what is there."""
    files = {str(file.relative_to(common)): file for file in common.glob(_BRANCHES) if file.suffix != ".lock"}
    broken = [ref for ref, file in files.items() if _is_hollow(file)]
    own = [ref for ref in files if job is not None and ids.tail_of(job) in ref]
    named = {ref: commit for ref in own if (commit := tip(common, ref)) is not None}
    if not await _are_whole(git, list(named.values()), head):
        broken += [ref for ref, commit in named.items() if not await _are_whole(git, [commit], head)]
    for ref in broken:
        before = [commit for commit in logged(common, ref) if await _are_whole(git, [commit], head)]
        with suppress(OSError):  # it is locked, or cannot be written: who needs it says so
            put_back(common, ref, before[0] if before else None)


async def _are_whole(git: Git, commits: Sequence[str], head: str) -> bool:
    """Whether all is there that commits lead to, besides what ``head`` does."""
    if not commits:
        return True
    found = await git.run("rev-list", "--objects", "--quiet", *commits, f"^{head}", "--", ok=None)
    return found.code == 0


def _is_empty(file: Path) -> bool:
    return file.stat().st_size == 0


def _is_hollow(file: Path) -> bool:
    """Whether it holds nothing, or zeros where it should hold something: some file systems tell its size before all else."""
    with suppress(OSError), file.open("rb") as opened:
        return not opened.read(1).strip(b"\0")
    return False
