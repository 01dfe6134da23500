"""What is dear to make and the same for all tests is made once in a session, however many processes run its tests."""

import fcntl
import os
import pickle
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

Made = TypeVar("Made")


class Once:
    """Things by their names, as pickles in a folder that the session's processes share."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def __call__(self, name: str, make: Callable[[], Made]) -> Made:
        """The thing of this name, made now if nobody has made it; others wait meanwhile."""
        path = self._folder / f"once-{name}"
        with (self._folder / f"once-{name}.lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            if not path.exists():
                made = make()
                path.write_bytes(pickle.dumps(made))
                return made
        found: Made = pickle.loads(path.read_bytes())  # noqa: S301 - our own
        return found


def shared_folder(own: Path) -> Path:
    """The folder of the session, where this process's own one may be a part of it."""
    return own.parent if "PYTEST_XDIST_WORKER" in os.environ else own
