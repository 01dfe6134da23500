"""Loaded by every Python program of a job whose disk can lose power: who kills itself takes the power with it.

Python reads a module of this name when it starts, if its folder is in ``PYTHONPATH``. A process kills itself at the crash
point that was chosen for it and nowhere else; its disk, the folder of ``VARIABLE``, is cut off right before, so that
nobody else writes anything after it.
"""

import fcntl
import os
import signal
import struct
import sys
from typing import Any

VARIABLE = "POWER_OF"
_SHUT_DOWN = 0x8004587D
"""EXT4_IOC_SHUTDOWN."""
_AT_ONCE = 2
"""Without bringing anything to disk, the file system's own journal included."""


def cut(folder: str) -> None:
    """Let nothing more reach the ext4 file system at a folder; what is cut off already stays so."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        fcntl.ioctl(descriptor, _SHUT_DOWN, struct.pack("I", _AT_ONCE))
    finally:
        os.close(descriptor)


def _watch(event: str, words: tuple[Any, ...]) -> None:
    if event == "os.kill" and words == (os.getpid(), signal.SIGKILL):
        cut(os.environ[VARIABLE])


if VARIABLE in os.environ:
    sys.addaudithook(_watch)
