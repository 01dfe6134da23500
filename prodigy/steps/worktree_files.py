"""Files of the agent's worktree: none is read, written or looked for outside of it, whatever links say."""

import os
import secrets
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

from prodigy.crash_points import crash_point
from prodigy.workflow.globs import matches


class OutsideWorktree(Exception):
    """A path leads out of the worktree; the text says which."""


def inside(worktree: str, path: str) -> Path:
    """The real place of a path, which need not exist.

    Raises:
        OutsideWorktree: it is empty, not a path, or leads out of the worktree, into its ``.git``, or is the worktree.
    """
    if "\0" in path:
        raise OutsideWorktree("a path cannot hold a NUL character")
    root = os.path.realpath(worktree)
    place = os.path.realpath(os.path.join(root, path))  # noqa: PTH118 - pathlib's resolve fails on loops of links
    relative = os.path.relpath(place, root)
    if relative == "." or relative.split("/", 1)[0] in {"..", ".git"}:
        raise OutsideWorktree(f"`{path}` is not a file inside the worktree")
    return Path(place)


def write(worktree: str, path: str, content: bytes, mode: int = 0o644) -> Path:
    """Replace a file at once, its folders made.

    Raises:
        OutsideWorktree: as ``inside``.
        OSError: it cannot be written.
    """
    place = inside(worktree, path)
    with crash_point("worktree-file.parents"):
        place.parent.mkdir(parents=True, exist_ok=True)
    scratch = place.with_name(f".{place.name[:100]}.{secrets.token_hex(4)}.tmp")
    with crash_point("worktree-file.open"):
        descriptor = os.open(
            scratch, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC | os.O_NOFOLLOW, mode
        )
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)
            os.fchmod(file.fileno(), mode)
        with crash_point("worktree-file.replace"):
            scratch.replace(place)
    except BaseException:
        with crash_point("worktree-file.discard"), suppress(OSError):
            scratch.unlink()
        raise
    return place


def newest(worktree: str, paths: Iterable[str], pattern: str) -> str | None:
    """The path that a glob matches (without ``/`` by its last part), newest by its time of change; ``None`` if none."""
    found = [path for path in paths if matches(path, (pattern,))]
    dated = [(stamp, path) for path in found if (stamp := _changed(worktree, path)) is not None]
    return max(dated)[1] if dated else None


def _changed(worktree: str, path: str) -> int | None:
    """Nanoseconds; ``None`` for what is no file."""
    try:
        place = inside(worktree, path)
        return place.stat().st_mtime_ns if place.is_file() else None
    except (OutsideWorktree, OSError):
        return None
