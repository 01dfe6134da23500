"""The line that ``prodigy --version`` prints, made without importing anything slow."""

import os
import sys

from prodigy import __version__

_LONGEST = 200
"""Bytes of git's answer that are read."""


def version_line() -> str:
    """``prodigy 0.1.0 (python 3.11, git 2.47.1)``."""
    return f"prodigy {__version__} (python {sys.version_info[0]}.{sys.version_info[1]}, git {git_version()})"


def git_version() -> str:
    """What the git on ``PATH`` calls itself, or ``not found``.

    Spawned by hand: importing ``subprocess`` alone would double the time that ``--version`` takes.
    """
    reading, writing = os.pipe()
    try:
        pid = os.posix_spawnp(
            "git", ("git", "--version"), os.environ, file_actions=((os.POSIX_SPAWN_DUP2, writing, 1),)
        )
    except OSError:
        os.close(reading)
        return "not found"
    finally:
        os.close(writing)
    with open(reading, "rb") as answer:  # noqa: PTH123 - a descriptor is no path
        text = answer.read(_LONGEST).decode(errors="replace")
    os.waitpid(pid, 0)
    return text.removeprefix("git version").strip() or "unknown"
