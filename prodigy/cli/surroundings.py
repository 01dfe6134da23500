"""Everything a command takes from its process: streams, environment, folder, clock."""

import os
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TextIO


@dataclass(frozen=True, slots=True)
class Surroundings:
    """The outside of one command; tests hand in their own."""

    stdin: TextIO
    stdout: TextIO
    stderr: TextIO
    environ: Mapping[str, str]
    directory: Path
    """Where files named on the command line are looked for: the caller's folder."""
    now: Callable[[], datetime]
    """The wall clock, in UTC."""
    sleep: Callable[[float], None] = time.sleep
    """Wait so many seconds; for verbs that look again and again."""


def of_this_process() -> Surroundings:
    """The process's own streams, environment, folder and clock.

    What a stream's encoding lacks is shown as an escape rather than refused.
    """
    for stream in (sys.stdout, sys.stderr):
        stream.reconfigure(errors="backslashreplace")  # type: ignore[union-attr] # the process's own are TextIOWrappers
    return Surroundings(
        stdin=sys.stdin,
        stdout=sys.stdout,
        stderr=sys.stderr,
        environ=os.environ,
        directory=Path.cwd(),
        now=lambda: datetime.now(UTC),
    )


def abandon(stream: TextIO) -> None:
    """Let what ``stream`` still holds go nowhere, so that the interpreter's last flush cannot fail."""
    try:
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, stream.fileno())
        os.close(nowhere)
    except (OSError, ValueError):
        return
