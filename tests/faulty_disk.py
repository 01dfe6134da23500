"""A disk under a folder that fails when a test wants it to, and that forgets what was never brought to it.

The calls of ``os`` that change files below the folder are counted. At one of them the disk has a ``Fault``; whether it was
reached tells the test, which goes on with the next number until a run comes through clean. After a loss of power the
folder is made to what the disk may hold then: what was synced for certain, and of the rest what a ``Survival`` says.
"""

import errno
import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, Literal

import pytest

Fault = Literal["no space", "bad disk", "short write", "power"]
Survival = Literal["nothing", "names", "contents", "half of the contents", "zeros", "everything"]
"""What is there after a loss of power though nobody waited for it."""
SURVIVALS: tuple[Survival, ...] = (
    "nothing",
    "names",
    "contents",
    "half of the contents",
    "zeros",
    "everything",
)
_WRITES = frozenset({"write", "pwrite"})
_TAKES_SPACE = frozenset({"open", "mkdir"}) | _WRITES
_COUNTED = ("open", "write", "pwrite", "fsync", "fdatasync", "ftruncate", "replace", "unlink", "mkdir")


class PowerLost(BaseException):
    """Nothing of this process happens any more."""


class FaultyDisk:
    """The files below ``folder``, which exists; everything in it is on disk already."""

    def __init__(self, folder: Path, fault: Fault, at: int) -> None:
        self.folder = folder
        self.reached = False
        self._fault = fault
        self._left = at
        self._real: dict[str, Callable[..., Any]] = {name: getattr(os, name) for name in _COUNTED}
        self._contents: dict[int, bytes] = {}
        self._names: dict[Path, dict[str, int]] = {}
        for place in (folder, *folder.rglob("*")):
            if place.is_dir():
                self._note_names(place)
            else:
                self._contents[place.stat().st_ino] = place.read_bytes()

    @contextmanager
    def failing(self) -> Iterator[None]:
        """Have the fault happen in this block; power that is lost ends it."""
        with pytest.MonkeyPatch.context() as patch:
            for name in _COUNTED:
                patch.setattr(os, name, self._counted(name))
            with suppress(PowerLost):
                yield

    def _counted(self, name: str) -> Callable[..., Any]:
        real = self._real[name]

        def call(first: Any, *words: Any, **options: Any) -> Any:
            place = self._place(first)
            makes = name != "open" or words[0] & os.O_CREAT
            if place is None or not makes:
                return real(first, *words, **options)
            self._left -= 1
            if self._left < 0:
                instead = self._failed(name)
                if instead is not None:
                    return real(first, words[0][:instead], *words[1:])
            existed = place.exists()
            result = real(first, *words, **options)
            if name in {"fsync", "fdatasync"}:
                self._synced(place)
            elif name == "open" and not existed:
                self._contents[place.stat().st_ino] = b""
            return result

        return call

    def _failed(self, name: str) -> int | None:
        """Raise what the disk says, or tell how many bytes it takes; ``None`` where it works."""
        first, self.reached = not self.reached, True
        match self._fault:
            case "power":
                raise PowerLost
            case "bad disk" if first:
                raise OSError(errno.EIO, os.strerror(errno.EIO))
            case "short write" if first and name in _WRITES:
                return 1
            case "no space" | "short write" if name in _TAKES_SPACE:
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return None

    def _place(self, named: Any) -> Path | None:
        path = Path(f"/proc/self/fd/{named}").readlink() if isinstance(named, int) else Path(named)
        return path if path.is_relative_to(self.folder) else None

    # -- what is on disk -------------------------------------------------------------------------------------------
    def _synced(self, place: Path) -> None:
        if place.is_dir():
            self._note_names(place)
        else:
            self._contents[place.stat().st_ino] = place.read_bytes()

    def _note_names(self, place: Path) -> None:
        self._names[place] = {path.name: path.stat().st_ino for path in place.iterdir()}

    def lose_power(self, survival: Survival) -> None:
        """Make the folder what it is when the machine starts again."""
        now = {path.stat().st_ino: path.read_bytes() for path in self.folder.rglob("*") if path.is_file()}
        if survival in {"names", "everything", "zeros", "half of the contents"}:
            for place in (self.folder, *self.folder.rglob("*")):
                if place.is_dir():
                    self._note_names(place)
        written = {
            inode: self._survived(content, now.get(inode, content), survival)
            for inode, content in self._contents.items()
        }
        shutil.rmtree(self.folder)
        self._make(self.folder, written)

    @staticmethod
    def _survived(synced: bytes, content: bytes, survival: Survival) -> bytes:
        if survival in {"nothing", "names"}:
            return synced
        if survival in {"contents", "everything"} or not content.startswith(synced):
            return content
        more = content[len(synced) :]
        return synced + (bytes(len(more)) if survival == "zeros" else more[: len(more) // 2])

    def _make(self, place: Path, written: dict[int, bytes]) -> None:
        place.mkdir(parents=True)
        for name, inode in self._names.get(place, {}).items():
            if place / name in self._names:
                self._make(place / name, written)
            elif inode in written:
                (place / name).write_bytes(written[inode])
