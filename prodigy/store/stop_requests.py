"""Asking a live run to end: a note beside its lock says who asks and how; a signal says that the note is there.

The note is for one process and nobody else: who takes up the run later finds nothing that is meant for it.
"""

import os
from contextlib import suppress
from pathlib import Path

import msgspec
from msgspec import Struct

from prodigy.crash_points import crash_point
from prodigy.decoding import JsonDecoder
from prodigy.store.atomic import write_file
from prodigy.store.locks import Holder, boot_id, start_time


class StopRequest(Struct, frozen=True, kw_only=True):
    """Who is asked to end, and by whom; ``now`` leaves the steps no time to end by themselves."""

    asked: Holder
    by: Holder
    now: bool = False


_read_stop_request = JsonDecoder(StopRequest)


def leave(path: Path, request: StopRequest) -> None:
    """Put down a request before its process is told of it.

    Raises:
        MachineError: ``storage-full`` or ``storage-denied``.
    """
    write_file(path, msgspec.json.encode(request))


def take(path: Path) -> StopRequest | None:
    """The request that lies there for this very process; it is taken away."""
    try:
        request = _read_stop_request(path.read_bytes())
    except (OSError, msgspec.DecodeError):
        return None
    pid, asked = os.getpid(), request.asked
    if (asked.pid, asked.start_time, asked.boot_id) != (pid, start_time(pid), boot_id()):
        return None
    with crash_point("stop.take"), suppress(OSError):
        path.unlink()
    return request
