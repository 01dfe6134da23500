"""Worktrees, folders and branches that look like ours, whoever they belong to, and what of them is nowhere else.

Rules: names decide what looks like ours: exactly the forms that Prodigy gives. Nothing here removes anything; whether
something is claimed is not known here either.
"""

import re
from collections.abc import Collection
from pathlib import Path

import trio
from msgspec import Struct

from prodigy.git.aside import folder_aside
from prodigy.git.cli import Git, GitFailed
from prodigy.git.evidence import snapshot
from prodigy.git.excludes import identity
from prodigy.git.repository import common_dir, ref_tip, worktrees_of
from prodigy.git.rescue import branches, keep_commit, rescue

_STEM = r"\d{8}-\d{6}-[0-9a-z]{6}"
_SESSION = rf"session-(?:mapreduce-)?{_STEM}"
_FOLDER = re.compile(_SESSION)
_SCRATCH = re.compile(rf"({_SESSION})(?:-merges)?")
_SLOT = re.compile(r"slot-\d+")
_SESSION_BRANCH = re.compile(r"prodigy-session-(?:mapreduce-)?\d{8}-\d{6}-([0-9a-z]{6})(?:-r\d+)?")
_AGENT_BRANCH = re.compile(r"prodigy-([0-9a-z]{6})-agent-\d+-\d+")
_NO_HOOKS = ("core.hooksPath=/dev/null",)


class Place(Struct, frozen=True, kw_only=True):
    """A worktree, or what is left of one: on git's list, on disk, or both."""

    path: str
    tail: str
    slot: bool = False
    there: bool = True
    registered: bool = True


class Branch(Struct, frozen=True, kw_only=True):
    """A branch with a name of ours."""

    name: str
    tail: str
    tip: str
    held_by: str | None = None
    """The worktree that has it checked out."""


class Lookalikes(Struct, frozen=True):
    """Everything that looks like ours."""

    places: list[Place]
    branches: list[Branch]


async def lookalikes(git: Git, folder: Path) -> Lookalikes:
    """What looks like ours in a repository, and below the folder that its worktrees lie in."""
    registered = await worktrees_of(git)
    on_disk = await trio.to_thread.run_sync(_folders, folder)
    listed = {entry.path for entry in registered}
    paths = [*on_disk, *(path for path in sorted(listed) if path not in on_disk)]
    places = [
        Place(path=path, tail=tail, slot=slot, there=path in on_disk, registered=path in listed)
        for path in paths
        for tail, slot in _ours(Path(path), folder)
    ]
    holders = {entry.branch: entry.path for entry in registered if entry.branch is not None}
    ours = [
        Branch(name=name, tail=tail, tip=tip, held_by=holders.get(name))
        for name, tip in (await branches(git)).items()
        if (tail := _branch_tail(name)) is not None
    ]
    return Lookalikes(places, ours)


def _folders(folder: Path) -> list[str]:
    """Folders at the places where worktrees of ours lie; links lead elsewhere and are nobody's."""
    found = [*folder.glob("session-*"), *folder.glob(".pool/*/slot-*"), *folder.glob(".scratch/*")]
    return sorted(str(place) for place in found if place.is_dir() and not place.is_symlink())


def _ours(path: Path, folder: Path) -> list[tuple[str, bool]]:
    """The tail of the name, and whether it is an agent's slot; nothing if it is not one of our places."""
    if not path.is_relative_to(folder):
        return []
    match path.relative_to(folder).parts:
        case [name] if _FOLDER.fullmatch(name):
            return [(name[-6:], False)]
        case [".scratch", name] if scratch := _SCRATCH.fullmatch(name):
            return [(scratch[1][-6:], False)]
        case [".pool", name, slot] if _FOLDER.fullmatch(name) and _SLOT.fullmatch(slot):
            return [(name[-6:], True)]
        case _:
            return []


def _branch_tail(name: str) -> str | None:
    if agent := _AGENT_BRANCH.fullmatch(name):
        return agent[1]
    session = _SESSION_BRANCH.fullmatch(name)
    return session[1] if session is not None else None


# -- what is nowhere else ------------------------------------------------------------------------------------------
async def is_kept(git: Git, commit: str, besides: Collection[str]) -> bool:
    """Whether any ref but the branches ``besides`` contains a commit."""
    listed = await git.run("for-each-ref", "--format=%(refname)%00", f"--contains={commit}")
    names = {field.decode(errors="surrogateescape").strip() for field in listed.fields}
    return bool(names - {f"refs/heads/{branch}" for branch in besides})


async def holds_work(git: Git, path: str, besides: Collection[str]) -> bool:
    """Whether a folder holds files that no commit has, or stands on a commit that no other ref contains."""
    inside = git.inside(path)
    try:
        found = await snapshot(inside)
    except GitFailed:  # git does not know it any more: whatever lies there may be work
        return await trio.to_thread.run_sync(_has_files, Path(path))
    return bool(found.dirty) or (found.head is not None and not await is_kept(git, found.head, besides))


def _has_files(folder: Path) -> bool:
    return any(place.name != ".git" for place in folder.iterdir())


async def keep_folder(git: Git, path: str, ref: str, besides: Collection[str]) -> str | None:
    """Put what a folder holds under a ref; its name, if there was anything to keep."""
    if not await holds_work(git, path, besides):
        return None
    try:
        head = await ref_tip(git.inside(path), "HEAD")
    except GitFailed:
        head = None
    if head is None:
        return await _keep_files(git, path, ref)
    base = (await git.run("rev-list", "--max-parents=0", "--max-count=1", head)).text
    kept = await rescue(git.inside(path), ref, base, "removed with a worktree that nobody claimed")
    return kept.ref if kept is not None else None


async def _keep_files(git: Git, path: str, ref: str) -> str:
    """A commit without a parent of the files in a folder that is no worktree any more; what is ignored stays out."""
    own = git.having(*_NO_HOOKS)
    common = await common_dir(own)
    with folder_aside(common) as folder:
        there = {"GIT_DIR": common, "GIT_WORK_TREE": path, "GIT_INDEX_FILE": f"{folder}/index"}
        await own.at(path).run("add", "--all", "--ignore-errors", env=there, ok=None)
        tree = (await own.at(path).run("write-tree", env=there)).text
    message = b"files of a folder that was no worktree any more"
    commit = await own.run("commit-tree", tree, stdin=message, env=await identity(own))
    return await keep_commit(own, ref, commit.text)
