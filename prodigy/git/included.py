"""Untracked files of the user's checkout that worktrees need: found once, kept for the run, copied from there.

Rules: what a run copies does not change under it, so the files are taken once, at its start, into a private folder of
the run. Patterns are git's own ignore patterns. Copying never replaces a file and never goes through a symbolic link.
"""

import os
import shutil
from collections.abc import Iterator, Sequence
from pathlib import Path

from prodigy.crash_points import crash_point
from prodigy.errors import MachineError, RunError
from prodigy.git.cli import Git

INCLUDE_FILE = ".worktreeinclude"
"""Further patterns, at the top of the checkout."""


async def find_included(git: Git, globs: Sequence[str], *, never: Sequence[str] = ()) -> tuple[str, ...]:
    """Untracked files that ``globs`` or the checkout's ``.worktreeinclude`` name, ignored ones included.

    Args:
        git: at the top of the user's checkout.
        globs: ignore patterns; one without ``/`` speaks of any folder.
        never: how paths begin that no pattern means.

    Returns:
        Paths relative to the top; repositories inside the checkout are left out.
    """
    patterns = [f"--exclude={glob}" for glob in globs]
    if Path(git.cwd, INCLUDE_FILE).is_file():
        patterns.append(f"--exclude-from={INCLUDE_FILE}")
    if not patterns:
        return ()
    listed = await git.run("ls-files", "--others", "--ignored", "-z", *patterns)
    paths = (os.fsdecode(path) for path in listed.fields if not path.endswith(b"/"))
    return tuple(path for path in paths if not path.startswith(tuple(never)))


def keep_included(checkout: Path, paths: Sequence[str], folder: Path) -> None:
    """Copy files of the checkout into ``folder``, unless they were before; it exists once all of them are there.

    Raises:
        MachineError: ``include-failed``: a file cannot be read, or the disk is full.
    """
    if folder.is_dir():
        return
    partial = folder.with_name(f"{folder.name}.partial")
    try:
        with crash_point("include.begin"):
            if partial.is_dir():
                shutil.rmtree(partial)
            partial.mkdir(mode=0o700, parents=True)
        for path in paths:
            _copy(checkout / path, partial, path)
        with crash_point("include.keep"):
            partial.rename(folder)
    except OSError as error:
        message = f"A file that `include` names cannot be copied: {error.strerror}"
        raise MachineError("include-failed", message, where=str(error.filename or checkout)) from error


def included_in(folder: Path) -> tuple[str, ...]:
    """The paths of all files of a folder, relative to it, sorted; none if it does not exist."""
    return tuple(sorted(str(file.relative_to(folder)) for file in _files(folder)))


def holds_anything(folder: Path) -> bool:
    """Whether there is anything in a folder, or a folder at all; one look, short enough for an event loop."""
    try:
        with os.scandir(folder) as entries:
            return next(entries, None) is not None
    except OSError:
        return False


def copy_missing(source: Path, target: Path) -> None:
    """Copy the files of a folder that the other one lacks: what git tracks, and what is there already, stays.

    Raises:
        RunError: ``worktree-error``: the disk is full, or the like.
    """
    try:
        for file in _files(source):
            _copy(file, target, str(file.relative_to(source)))
    except OSError as error:
        message = f"An untracked file cannot be copied into a worktree: {error.strerror}"
        raise RunError("worktree-error", message, where=str(error.filename or target)) from error


def _files(folder: Path) -> Iterator[Path]:
    return (path for path in folder.rglob("*") if path.is_symlink() or path.is_file())


def _copy(file: Path, target: Path, path: str) -> None:
    copy = target / path
    inside = [parent for parent in copy.parents if parent.is_relative_to(target)]
    if os.path.lexists(copy) or any(parent.is_symlink() for parent in inside):
        return
    with crash_point("include.copy"):
        copy.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(file, copy, follow_symlinks=False)
