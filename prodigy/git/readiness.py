"""Whether a worktree was set up, for which files, and whether what that made is still there.

The answer lies in the worktree's private folder, so it is gone when the worktree is: nothing else has to be kept in
step with it.
"""

import hashlib
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import msgspec

from prodigy.crash_points import crash_point
from prodigy.decoding import JsonDecoder
from prodigy.errors import RunError
from prodigy.git.cli import Git, readable
from prodigy.workflow.globs import matches

READY: Final = "prodigy-ready"
"""Name of the file in a worktree's private folder."""


class Ready(msgspec.Struct, frozen=True):
    """A worktree was set up."""

    key: str
    made: tuple[str, ...]
    """What git ignored in it afterwards: files, and folders ending in ``/``."""


_read_ready = JsonDecoder(Ready)


async def setup_key(git: Git, globs: Sequence[str]) -> str:
    """A digest of the files that ``globs`` name, as the worktree's index has them; the same text for the same files.

    Args:
        git: at the top of a worktree.
        globs: of paths; one without ``/`` speaks of the last part only.
    """
    if not globs:
        return "-"
    listed = (await git.run("ls-files", "--stage", "-z")).fields
    named = (entry for entry in listed if matches(readable(entry.partition(b"\t")[2]), tuple(globs)))
    return hashlib.sha256(b"\0".join(named)).hexdigest()


def is_ready(path: str, git_dir: str, key: str) -> bool:
    """Whether the worktree at ``path`` was set up for ``key``, and nothing that this made is gone."""
    try:
        ready = _read_ready(Path(git_dir, READY).read_bytes())
    except (FileNotFoundError, msgspec.DecodeError):
        return False
    return ready.key == key and all(os.path.lexists(Path(path, name)) for name in ready.made)


async def remember_ready(git: Git, git_dir: str, key: str) -> None:
    """Remember that the worktree was just set up for ``key``.

    Raises:
        RunError: ``worktree-error``: the disk is full, or the like.
    """
    options = ("--others", "--ignored", "--exclude-standard", "--directory", "-z")
    listed = (await git.run("ls-files", *options)).fields
    # Names that are no UTF-8 cannot be written down, and need not be: they are only a sign.
    ready = Ready(key, tuple(readable(name) for name in listed if _is_text(name)))
    try:
        with crash_point("worktree.ready"):
            Path(git_dir, READY).write_bytes(msgspec.json.encode(ready))
    except OSError as error:
        message = f"That the worktree was set up cannot be remembered: {error.strerror}"
        raise RunError("worktree-error", message, where=git_dir) from error


def _is_text(name: bytes) -> bool:
    try:
        name.decode()
    except UnicodeDecodeError:
        return False
    return True
