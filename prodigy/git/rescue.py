"""Keeping what a worktree holds under a ref, before it is reset or removed.

Rules: reading, hashing and naming only: no branch, index, file or hook of the worktree is touched, so a rescue can be
tried on a worktree in any state. A rescue ref is created, never moved: what is named stays named.
"""

import os
import shutil
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path

import trio
from msgspec import Struct

from prodigy.crash_points import crash_point
from prodigy.errors import RunError
from prodigy.git import evidence
from prodigy.git.aside import folder_aside
from prodigy.git.cli import Git, GitFailed, GitResult
from prodigy.git.disks import Disks
from prodigy.git.evidence import Snapshot
from prodigy.git.excludes import identity
from prodigy.git.patience import patiently
from prodigy.git.private_folder import private_folder, visited_branches
from prodigy.git.repository import common_dir, ref_tip

_MAX_NAMES = 100
_NO_HOOKS = ("core.hooksPath=/dev/null",)


class Rescued(Struct, frozen=True):
    """Work that is kept."""

    ref: str
    sha: str
    left_out: tuple[str, ...] = ()
    """Repositories inside the worktree, ending in ``/``: of those at most the commit's id is kept."""
    uncommitted: bool = False
    """Whether some of it had not been committed."""


class Held(Struct, frozen=True):
    """What a worktree holds: the commit of HEAD, and one that has all of its files."""

    head: str | None
    commit: str | None
    nested: tuple[str, ...] = ()
    """As ``Rescued.left_out``."""


async def rescue(git: Git, ref: str, base: str, message: str) -> Rescued | None:
    """Put the commits and the uncommitted files of a worktree under ``ref``.

    Uncommitted means changed, staged, unmerged or untracked, not ignored; they become one commit on top of HEAD.

    Args:
        git: at the top of the worktree.
        ref: full name; if it is taken, ``ref.2`` and so on.
        base: what the work began from; a clean worktree whose HEAD ``base`` contains holds nothing to keep.
        message: of the commit made of uncommitted files.
    """
    git = git.having(*_NO_HOOKS)
    found = await held(git, message)
    kept = found.commit
    if kept is None or await evidence.is_ancestor(git, kept, base):
        return None
    return Rescued(await keep_commit(git, ref, kept), kept, found.nested, uncommitted=kept != found.head)


async def held(git: Git, message: str) -> Held:
    """What a worktree holds; a commit is made of what is not committed, and no ref names it yet."""
    git = git.having(*_NO_HOOKS)
    found = await _look(git)
    commit = await _commit_files(git, found.head, message) if found.dirty else found.head
    return Held(found.head, commit, tuple(path for path in found.dirty if path.endswith("/")))


async def _look(git: Git) -> Snapshot:
    """Where the worktree stands; with an index that git cannot read, everything may be uncommitted."""
    try:
        return await evidence.snapshot(git)
    except GitFailed:
        return Snapshot(await ref_tip(git, "HEAD"), None, ("index",))


async def branches(git: Git) -> dict[str, str]:
    """All local branches, without ``refs/heads/``, and their tips."""
    listed = await git.run("for-each-ref", "--format=%(refname:lstrip=2)%00%(objectname)%00", "refs/heads")
    fields = [os.fsdecode(field.removeprefix(b"\n")) for field in listed.fields]
    return dict(zip(fields[::2], fields[1::2], strict=True))


async def unmerged(git: Git, branches: Sequence[str], target: str) -> dict[str, str]:
    """Those of some local branches that a commit does not contain, and their tips; one that is gone is left out."""
    if not branches:
        return {}
    form = "--format=%(refname:lstrip=2)%00%(objectname)%00"
    refs = [f"refs/heads/{branch}" for branch in branches]
    listed = await git.run("for-each-ref", form, f"--no-merged={target}", "--", *refs)
    fields = [os.fsdecode(field.removeprefix(b"\n")) for field in listed.fields]
    tips = dict(zip(fields[::2], fields[1::2], strict=True))
    return {branch: tips[branch] for branch in branches if branch in tips}


async def kept_commits(git: Git, folder: str) -> set[str]:
    """The commits that refs below ``folder`` name."""
    listed = await git.run("for-each-ref", "--format=%(objectname)%00", "--", folder)
    return {os.fsdecode(field.removeprefix(b"\n")) for field in listed.fields}


async def rescue_strays(
    git: Git, before: Collection[str], own: str | None, prefix: str, *, spared: str | None = None
) -> list[Rescued]:
    """Move branches that were made in this worktree to refs below ``prefix``.

    Only branches that this worktree's own history of HEAD names are taken: what else appeared meanwhile may be the
    user's, or of an agent next door. One that any worktree has checked out stays.

    Args:
        git: at the top of the worktree, HEAD off the branches in question.
        before: the names of branches that existed when the worktree was leased.
        own: the branch that the worktree was leased with.
        prefix: such as ``refs/prodigy/rescue/{job}/{item}/{attempt}.branches``.
        spared: how the names of branches begin that are never taken, whenever they were made.
    """
    git = git.having(*_NO_HOOKS)
    visited = (await _visited(git)) - set(before) - {own}
    if spared is not None:
        visited = {name for name in visited if not name.startswith(spared)}
    if not visited:
        return []
    present = await branches(git)
    strays = sorted(visited & present.keys())
    held = await _checked_out(git) if strays else frozenset[str]()
    return [
        await _move(git, stray, present[stray], f"{prefix}/{stray}") for stray in strays if stray not in held
    ]


async def _commit_files(git: Git, head: str | None, message: str) -> str | None:
    """A commit of the worktree as it is, made with an index of our own; ``head`` itself if that has the same files."""
    with folder_aside(await common_dir(git)) as folder:
        tree = await _tree(git, head, folder)
    if head is not None and (await git.run("rev-parse", f"{head}^{{tree}}")).text == tree:
        return head
    lineage = ("-p", head) if head is not None else ()
    return (
        await git.run("commit-tree", tree, *lineage, stdin=message.encode(), env=await identity(git))
    ).text


async def _tree(git: Git, head: str | None, folder: str) -> str:
    """The tree of the worktree as it is, made with an index in ``folder``.

    A copy of the worktree's own knows what need not be hashed again; one of HEAD serves where git cannot read that, or it
    names what is not there.
    """
    own = (await git.run("rev-parse", "--git-path", "index")).path
    copy = {"GIT_INDEX_FILE": f"{folder}/copy"}
    await trio.to_thread.run_sync(_copy, Path(git.cwd, own), Path(copy["GIT_INDEX_FILE"]))
    written = await _written(git, copy, ok=None)
    if written.code == 0:
        return written.text
    fresh = {"GIT_INDEX_FILE": f"{folder}/fresh"}
    if head is not None:
        await git.run("read-tree", head, env=fresh)
    return (await _written(git, fresh, ok=(0,))).text


async def _written(git: Git, index: Mapping[str, str], ok: Collection[int] | None) -> GitResult:
    await git.run("add", "--all", "--sparse", "--ignore-errors", env=index, ok=None)
    return await git.run("write-tree", env=index, ok=ok)


def _copy(source: Path, target: Path) -> None:
    if source.is_file():
        with crash_point("rescue.index"):
            shutil.copyfile(source, target)


async def keep_commit(git: Git, ref: str, sha: str) -> str:
    """Create ``ref``, or the first free ``ref.N``; one that names the same commit already will do.

    What it leads to is brought to disk before.
    """
    await Disks().flush(await common_dir(git))
    for number in range(1, _MAX_NAMES):
        name = ref if number == 1 else f"{ref}.{number}"
        if await _create(git, name, sha):
            return name
    raise RunError("worktree-error", f"no free name for a rescue at {ref}")


async def _create(git: Git, ref: str, sha: str) -> bool:
    none = "0" * len(sha)
    try:
        await patiently(lambda: git.run("update-ref", "-m", "rescue", ref, sha, none))
    except GitFailed:
        there = await ref_tip(git, ref)
        if there is None:
            raise
        return there == sha
    return True


async def _visited(git: Git) -> set[str]:
    """Every branch that this worktree switched to since it was leased."""
    visited = visited_branches(private_folder(git.cwd))  # two small files
    if visited is not None:
        return visited
    moves = await git.run("reflog", "show", "--format=%gs", "HEAD", "--", ok=None)
    lines = (line for line in moves.stdout.split(b"\n") if line.startswith(b"checkout: moving from "))
    return {os.fsdecode(line.rpartition(b" to ")[2]) for line in lines}


async def _checked_out(git: Git) -> frozenset[str]:
    listed = await git.run("for-each-ref", "--format=%(refname:lstrip=2)%00%(worktreepath)%00", "refs/heads")
    fields = [os.fsdecode(field.removeprefix(b"\n")) for field in listed.fields]
    return frozenset(name for name, path in zip(fields[::2], fields[1::2], strict=True) if path)


async def _move(git: Git, branch: str, sha: str, ref: str) -> Rescued:
    name = await keep_commit(git, ref, sha)
    await patiently(lambda: git.run("update-ref", "-d", f"refs/heads/{branch}", sha))
    return Rescued(name, sha)
