"""A folder aside, for what is needed only for a moment: an index of our own, files that only a merge reads.

Rules: beside each folder lies a lock, which its user holds and which dies with it. So what a killed process left is told
from what is in use, and whoever comes next removes it. In a repository these folders lie where git keeps everything
else: there has to be room for what they serve, and whoever works in the repository looks there.
"""

import fcntl
import os
import shutil
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from tempfile import mkstemp

from prodigy.crash_points import crash_point
from prodigy.errors import RunError

IN_REPOSITORY = "prodigy-aside-"
"""How the names of those in a repository begin."""
_LOCK = ".held"


@contextmanager
def folder_aside(parent: str, prefix: str = IN_REPOSITORY) -> Iterator[str]:
    """An empty, private folder for the block.

    Args:
        parent: where it is made: the common folder of a repository, as a rule.
        prefix: how its name begins.

    Raises:
        RunError: ``worktree-error``: none can be made there.
    """
    with ExitStack() as undo:
        try:
            folder, lock = _named(parent, prefix)
            undo.callback(_remove, folder, lock)
            with crash_point("aside.make"):
                Path(folder).mkdir(mode=0o700)
        except OSError as error:
            reason = error.strerror or str(error)
            raise RunError(
                "worktree-error", f"no folder can be made in {parent}: {reason}", where=parent
            ) from error
        yield folder


def remove_forsaken(parent: str, prefix: str = IN_REPOSITORY) -> None:
    """Remove the folders whose users are gone; what cannot be removed stays for whoever comes next."""
    for place in Path(parent).glob(f"{prefix}*{_LOCK}"):
        with suppress(OSError):
            lock = _taken(str(place))
            if lock is not None:
                _remove(str(place).removesuffix(_LOCK), lock)


def _named(parent: str, prefix: str) -> tuple[str, int]:
    """The name of a new folder, and its lock."""
    while True:
        descriptor, name = mkstemp(prefix=prefix, suffix=_LOCK, dir=parent)
        os.close(descriptor)
        lock = _taken(name)
        if lock is not None:  # else somebody took it for forsaken
            return name.removesuffix(_LOCK), lock


def _taken(name: str) -> int | None:
    """The lock of that name, held from now on; ``None`` if it is somebody else's, or gone."""
    with suppress(FileNotFoundError), ExitStack() as undo:
        descriptor = os.open(name, os.O_RDWR | os.O_CLOEXEC | os.O_NOFOLLOW)
        undo.callback(os.close, descriptor)
        with suppress(BlockingIOError), crash_point("aside.lock"):
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if os.path.samestat(os.fstat(descriptor), os.stat(name)):  # noqa: PTH116 - text
                undo.pop_all()
                return descriptor
    return None


def _remove(folder: str, lock: int) -> None:
    """Remove a folder, then the name of its lock: without that nobody would ever look for the folder."""
    with crash_point("aside.empty"):
        shutil.rmtree(folder, ignore_errors=True)
    if not os.path.lexists(folder):
        with crash_point("aside.remove"):
            Path(f"{folder}{_LOCK}").unlink(missing_ok=True)
    os.close(lock)
