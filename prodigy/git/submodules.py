"""Keeping what was made in the submodules of a worktree, which go with it.

A linked worktree has repositories of its own for its submodules, in its private folder. What is committed there, and
was never pushed, is nowhere else. It is kept beside the submodule's repository in the main worktree
(``.git/modules/NAME``), where `git submodule update` finds it; where there is none, in the repository itself.
"""

import os
from collections.abc import Collection, Iterator
from contextlib import suppress
from pathlib import Path

import trio
from msgspec import Struct

from prodigy.git.cli import Git, is_folder
from prodigy.git.private_folder import NotAWorktree, private_folder
from prodigy.git.repository import common_dir, ref_tip
from prodigy.git.rescue import branches, held, keep_commit
from prodigy.ids import safe_item_id

_MODULES = "modules"
_HANDED_OVER = "refs/prodigy/kept"
_SETTINGS = ("core.hooksPath=/dev/null", "safe.bareRepository=all", "protocol.file.allow=always")
_GITLINK = b"160000 "


class KeptWithin(Struct, frozen=True):
    """A commit of a submodule that is kept."""

    submodule: str
    """The submodule's name; of one within another ``outer/modules/inner``."""
    repository: str
    """The git folder that the ref is in."""
    ref: str
    sha: str


async def keep_submodules(git: Git, prefix: str, base: str, message: str) -> list[KeptWithin]:
    """Put what the submodules of a worktree hold, and no remote of theirs does, under refs below ``prefix``.

    Args:
        git: at the top of a linked worktree.
        prefix: such as ``refs/prodigy/rescue/{job}/-/submodules/{agent}``.
        base: a commit of the worktree's repository; what its submodules were at then is nobody's making.
        message: of the commits made of uncommitted files.
    """
    root = _modules_of(git.cwd)
    if root is None:
        return []
    found = await trio.to_thread.run_sync(_modules, root)
    common = await common_dir(git)
    known = await _gitlinks(git, base)
    return [
        kept
        for name, folder in found
        for kept in await _keep(git, Path(common), name, folder, prefix, known, message)
    ]


def _modules_of(worktree: str) -> str | None:
    """Where a worktree has the git folders of its submodules, if any was filled; short enough for an event loop."""
    with suppress(OSError, NotAWorktree):
        root = os.path.join(private_folder(worktree), _MODULES)  # noqa: PTH118 - a path in git's own form
        return root if is_folder(root) else None
    return None


def _modules(root: str) -> list[tuple[str, str]]:
    """Names and git folders of submodules."""
    return [(os.path.relpath(folder, root), folder) for folder in _git_folders(root)]


def _git_folders(root: str) -> Iterator[str]:
    for folder, names, files in os.walk(root):
        if "HEAD" in files and "objects" in names:
            yield folder
            names[:] = [name for name in names if name == _MODULES]


async def _gitlinks(git: Git, commit: str) -> list[str]:
    listed = await git.run("ls-tree", "-r", "-z", commit, ok=None)
    return [entry.split()[2].decode() for entry in listed.fields if entry.startswith(_GITLINK)]


async def _keep(
    git: Git, common: Path, name: str, folder: str, prefix: str, known: Collection[str], message: str
) -> list[KeptWithin]:
    module = git.inside(folder).having(*_SETTINGS)
    beside = common / _MODULES / name
    place = str(beside if (beside / "HEAD").is_file() else common)
    target = git.inside(place).having(*_SETTINGS)
    kept = []
    for label, tip in (await _tips(module, message)).items():
        if not await _unpublished(module, tip, known):
            continue
        await module.run("update-ref", _HANDED_OVER, tip)
        options = ("--quiet", "--no-tags", "--no-write-fetch-head", "--no-recurse-submodules")
        await target.run("fetch", *options, folder, _HANDED_OVER)
        ref = await keep_commit(target, f"{prefix}/{_safe(name)}/{label}", tip)
        kept.append(KeptWithin(name, place, ref, tip))
    return kept


async def _tips(module: Git, message: str) -> dict[str, str]:
    """What there is to keep, by what it is called: all that the files hold, and branches beside that."""
    files = await _files(module)
    work = (
        await ref_tip(module, "HEAD") if files is None else (await held(module.inside(files), message)).commit
    )
    tips = {"work": work} if work is not None else {}
    for branch, tip in (await branches(module)).items():
        if tip not in tips.values():
            tips[f"heads/{branch}"] = tip
    return tips


async def _files(module: Git) -> str | None:
    """Where the files of a submodule are, if they are there."""
    place = await module.run("config", "--get", "core.worktree", ok=None)
    folder = os.path.normpath(os.path.join(module.cwd, place.path))  # noqa: PTH118 - as above
    return folder if place.path and os.path.lexists(os.path.join(folder, ".git")) else None  # noqa: PTH118


async def _unpublished(module: Git, tip: str, known: Collection[str]) -> bool:
    options = ("--max-count=1", "--ignore-missing")
    return bool((await module.run("rev-list", *options, tip, "--not", "--remotes", *known)).text)


def _safe(name: str) -> str:
    """The name as a part of a ref."""
    return "/".join(map(safe_item_id, name.split("/")))
