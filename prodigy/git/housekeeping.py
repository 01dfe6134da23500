"""Keeping `git gc` away while a run works.

What `git gc --prune=now` takes for garbage was found before it is deleted; a commit and the branch that leads to it may
both be made in between, and then the branch leads nowhere. Git lets one collection run at a time, which it finds in
``gc.pid``: the process named there lives, on this machine, and the file is younger than twelve hours. A run names
itself there. `git gc` then says so and does nothing, `git gc --auto` does nothing; whoever knows better has `--force`.

Rules: the name of somebody who lives is never replaced. A process that was killed keeps nobody away. A second line, which
git does not read, tells a run from a collection: nobody waits for a run, since it keeps collections away for others too.
"""

import os
import socket
import time
from contextlib import suppress
from pathlib import Path

import trio

from prodigy.crash_points import crash_point

PATIENCE_S = 10.0
"""How long a collection that runs is waited for."""
_LOOK_S = 0.02
_AGAIN_S = 1.0
_RENEW_S = 60.0
_STALE_S = 12 * 3600.0
_WRITING_S = 1.0
"""How long a file may have nothing in it yet."""
_RUN = "prodigy"


class GcHold:
    """One process's hold on a repository's garbage collection.

    Args:
        common_dir: of the repository.
    """

    def __init__(self, common_dir: str) -> None:
        self._file = Path(common_dir, "gc.pid")
        self._mine = f"{os.getpid()} {socket.gethostname()}\n{_RUN}\n"

    async def take(self) -> None:
        """Hold it, at best before anything is made: a collection that runs is waited for, but not for ever."""
        with trio.move_on_after(PATIENCE_S):
            while not await trio.to_thread.run_sync(self.renew) and self._collects():  # noqa: ASYNC110 - another's file
                await trio.sleep(_LOOK_S)

    async def keep(self) -> None:
        """Hold it until cancelled, as soon as nobody else does."""
        try:
            while True:
                held = await trio.to_thread.run_sync(self.renew)
                await trio.sleep(_RENEW_S if held else _AGAIN_S)
        finally:
            self.release()

    def renew(self) -> bool:
        """Hold it, or go on holding it; false while somebody else does, or where nothing can be written."""
        with suppress(OSError):
            told = self._read()
            if told == self._mine:
                os.utime(self._file)
                return True
            if told is not None and self._is_held(told):
                return False
            with crash_point("gc.hold"):
                if told is not None:  # where there was none, one that is there by now is somebody else's
                    self._file.unlink(missing_ok=True)
                with self._file.open("x") as file:
                    file.write(self._mine)
            return True
        return False

    def release(self) -> None:
        """Let go of it, if it is held."""
        with suppress(OSError):
            if self._read() == self._mine:
                with crash_point("gc.release"):
                    self._file.unlink()

    def _read(self) -> str | None:
        try:
            return self._file.read_text(errors="replace")
        except FileNotFoundError:
            return None

    def _collects(self) -> bool:
        """Whether whoever holds it is no run of ours."""
        with suppress(OSError):
            return _RUN not in (self._read() or "").splitlines()[1:]
        return False

    def _is_held(self, told: str) -> bool:
        """Whether git would take it for held; so is one that somebody is just writing."""
        number, _, host = told.partition("\n")[0].partition(" ")
        age = time.time() - self._file.stat().st_mtime
        if not told and age < _WRITING_S:
            return True
        if not (number.isdigit() and host) or age > _STALE_S:
            return False
        return host != socket.gethostname() or _lives(int(number))


def _lives(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except (PermissionError, OverflowError):
        pass
    return True
