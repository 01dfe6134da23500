"""Which kind of file system a folder lies on, and that it is one where locks hold.

On a file system that several machines share, a lock may be this machine's alone: two runs would then write one journal,
and each believe that it is the only one. So the home folder must not lie on one, unless its owner says that nobody else
uses it.
"""

import ctypes
import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Final

from prodigy.errors import MachineError

VARIABLE: Final = "PRODIGY_HOME_IS_LOCAL"
_SHARED: Final[Mapping[int, str]] = {
    0x6969: "NFS",
    0x517B: "SMB",
    0xFE534D42: "SMB",
    0xFF534D42: "CIFS",
    0x564C: "NCP",
    0x5346414F: "AFS",
    0x6B414653: "AFS",
    0x73757245: "Coda",
    0x00C36400: "Ceph",
    0x0BD00BD0: "Lustre",
    0x01021997: "9P",
    0x01161970: "GFS2",
    0x7461636F: "OCFS2",
    0x47504653: "GPFS",
    0x19830326: "BeeGFS",
    0xAAD7AAEA: "PanFS",
}
"""Magic numbers of ``statfs(2)``."""
_BYTES: Final = 256
"""More than a ``struct statfs`` has on any machine; its first word is the magic number."""
_MAGIC: Final = 0xFFFFFFFF


def magic_number(folder: Path) -> int:
    """What ``statfs(2)`` calls the file system of a folder.

    Raises:
        OSError: as ``statfs(2)``.
    """
    libc = ctypes.CDLL(None, use_errno=True)
    told = (ctypes.c_long * (_BYTES // ctypes.sizeof(ctypes.c_long)))()
    if libc.statfs(os.fsencode(folder), told) != 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number), str(folder))
    return int(told[0]) & _MAGIC


def require_local(
    home: Path, environ: Mapping[str, str], magic_of: Callable[[Path], int] = magic_number
) -> None:
    """Refuse a home folder, there or not, on a file system that other machines may use.

    Raises:
        MachineError: ``storage-denied``.
    """
    if environ.get(VARIABLE):
        return
    place = next(path for path in (home, *home.parents) if path.exists())
    kind = _SHARED.get(magic_of(place))
    if kind is not None:
        raise MachineError(
            "storage-denied",
            f"The home folder lies on a file system that other machines may use: {kind}",
            where=str(home),
            note="locks may not hold there between machines, and two runs could then write one journal",
            hint=f"set PRODIGY_HOME to a local folder, or {VARIABLE}=1 if only this machine uses it",
        )
