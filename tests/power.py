"""Jobs that lose power at named points: somebody dies there, and what was never brought to disk is gone.

Each world lies on an ext4 file system of its own, in a file. The process that dies cuts it off
(``blackout.sitecustomize``): from then on nothing reaches the file. All others are killed, and the file system is mounted
again, with what a disk holds after a loss of power. What steps say of themselves lies beside it and is kept.

Mounting needs root.
"""

import os
import signal
import subprocess
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from blackout.sitecustomize import VARIABLE, cut
from crash_worlds import CrashWorld, Moment
from dying import Job, Place
from worlds import eventually, told_of

SIZE = 256 * 1024 * 1024
KINDS = {
    "usual": "defaults",
    "late": "commit=300,noauto_da_alloc",  # only what somebody waits for; a new file's name may come before its content
    "unordered": "commit=300,data=writeback,nodelalloc",  # sizes come before contents, which are zeros then
}
"""Kinds of disks: options of mounting by what is brought to them unasked."""
_BLACKOUT = Path(__file__).parent / "blackout"


class NoDisk(Exception):
    """No file system can be made or mounted here."""


@dataclass
class Disk:
    """An ext4 file system.

    Attributes:
        folder: where it is mounted.
        image: the file that it is in.
        kind: one of ``KINDS``.
    """

    folder: Path
    image: Path
    kind: str

    @property
    def lost(self) -> Path:
        """A copy of the file as the last loss of power left it."""
        return self.image.with_suffix(".lost")

    @property
    def environ(self) -> dict[str, str]:
        """What a program must be told to take the power with it when it kills itself."""
        return {VARIABLE: str(self.folder), "PYTHONPATH": str(_BLACKOUT)}

    def renew(self) -> None:
        """Mount it, new and empty, where it is not mounted.

        Raises:
            NoDisk: that cannot be done here.
        """
        self.folder.mkdir(parents=True, exist_ok=True)
        self.image.write_bytes(b"")
        os.truncate(self.image, SIZE)
        try:
            _done("mkfs.ext4", "-q", "-F", str(self.image))
            self._mount()
        except (OSError, subprocess.CalledProcessError) as error:
            self.image.unlink()
            reason, *_ = (getattr(error, "stderr", "") or str(error)).splitlines()
            raise NoDisk(reason) from error
        (self.folder / "lost+found").rmdir()

    def settle(self) -> None:
        """Bring to disk all that was written."""
        _done("sync", "--file-system", str(self.folder))

    def lose_power(self) -> None:
        """Make it what it is when the machine starts again, of whose processes none is left."""
        cut(str(self.folder))
        self._unmount()
        _done("cp", "--sparse=always", str(self.image), str(self.lost))
        self._mount()

    def remove(self) -> None:
        """Unmount it; its files stay."""
        if self.folder.is_mount():
            self._unmount()

    def _mount(self) -> None:
        _done("mount", "-o", f"loop,{KINDS[self.kind]}", str(self.image), str(self.folder))

    def _unmount(self) -> None:
        """Once nobody is left that was told of it: each has files open there."""
        eventually(lambda: not _killed(self.folder))
        eventually(lambda: subprocess.run(["umount", self.folder], check=False).returncode == 0)


def _done(*words: str) -> None:
    subprocess.run(words, check=True, capture_output=True, text=True)


def _killed(folder: Path) -> list[int]:
    """Who was left."""
    found = told_of(folder)
    for pid in found:
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    return found


@dataclass
class PoweredWorld(CrashWorld):
    """A world on a disk: who dies by a plan takes the power with it."""

    disk: Disk = field(kw_only=True)

    def attempt(self, *words: str, dying: Moment | None = None) -> "subprocess.CompletedProcess[str]":
        """Run the command line to its end, or until the power is gone; what was there before is on disk."""
        self.disk.settle()
        self.intend(dying)
        told = self.whole / "stdout", self.whole / "stderr"
        with told[0].open("w") as out, told[1].open("w") as err:
            process = subprocess.Popen(
                self.command(*words),
                cwd=self.repository,
                env=self.environ,
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=err,
            )
            try:
                eventually(lambda: process.poll() is not None or self.died(dying))
            finally:
                if process.poll() is None:
                    process.kill()
                process.wait()
        if self.died(dying):
            self.disk.lose_power()
        code = -signal.SIGKILL if self.died(dying) else process.returncode
        return subprocess.CompletedProcess(words, code, *(file.read_text() for file in told))


@dataclass
class PoweredPlace(Place):
    """A place whose worlds lie on a disk, a new one each; to be closed.

    Attributes:
        kind: of disk, one of ``KINDS``.
    """

    kind: str = "usual"

    @property
    def disk(self) -> Disk:
        return Disk(self.here / "disk", self.folder / "image", self.kind)

    def world(self, job: Job, act: int) -> tuple[PoweredWorld, str]:
        """As of every place."""
        world, flow = super().world(job, act)
        return PoweredWorld(world.folder, world.environ | self.disk.environ, disk=self.disk), flow

    def prepare(self) -> None:
        """Make room for a world on a new disk."""
        super().prepare()
        self.disk.renew()

    def close(self) -> None:
        """Unmount the disk."""
        self.disk.remove()
