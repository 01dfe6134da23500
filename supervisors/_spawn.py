"""Starts worker processes and their zygotes.

Imports only what a bare interpreter has at hand, no trio and no msgspec: a program may call ``spawn_worker`` as its
first act, so that the worker imports while the program does. Call it from the main thread: the kernel ties the
worker's notice of our death to the thread that started it.
"""

import json
import os
import socket
import subprocess
import sys
from collections.abc import Mapping, Sequence
from typing import NamedTuple

REAPER_PROGRAM = os.path.join(os.path.dirname(__file__), "_reaper.py")  # noqa: PTH118, PTH120 - pathlib is not at hand


class SpawnedWorker(NamedTuple):
    """A worker process that has just been started, and this side of everything that ties it to us.

    Attributes:
        program: ``"module:attribute"`` of its ``WorkerProgram``.
        process: the process; only its owner may wait for it.
        channel: frames.
        pulse: heartbeats, a byte each, apart from the frames so that full buffers do not look like death.
        leash: descriptor that reaches its end of file when the worker and all its process trees are gone.
    """

    program: str
    process: "subprocess.Popen[bytes]"
    channel: socket.socket
    pulse: socket.socket
    leash: int


class SpawnedZygote(NamedTuple):
    """A zygote that has just been started, and this side of its socket."""

    process: "subprocess.Popen[bytes]"
    control: socket.socket


def spawn_worker(
    program: str, *, hold_fds: Sequence[int] = (), env: Mapping[str, str] | None = None
) -> SpawnedWorker:
    """Start a worker process in a session of its own.

    Its standard input is empty and its standard output is our standard error.

    Args:
        program: ``"module:attribute"`` of a ``WorkerProgram``; the current folder is not searched for it.
        hold_fds: descriptors that the worker and its process trees' reapers keep open until the trees are dead, for
            example of a shared lock. Commands do not inherit them. They stay ours to close.
        env: its environment; ours by default.

    Raises:
        OSError: the system has no process or descriptor left.
    """
    channel, its_channel = socket.socketpair()
    pulse, its_pulse = socket.socketpair()
    leash, its_leash = os.pipe()
    kept = (its_leash, *hold_fds)
    config = {
        "program": program,
        "coordinator": os.getpid(),
        "channel": its_channel.fileno(),
        "pulse": its_pulse.fileno(),
        "kept": kept,
    }
    try:
        process = subprocess.Popen(
            [sys.executable, "-P", "-m", "supervisors._worker", json.dumps(config)],
            stdin=subprocess.DEVNULL,
            stdout=2,
            env=env,
            pass_fds=(its_channel.fileno(), its_pulse.fileno(), *kept),
            start_new_session=True,
        )
    except BaseException:
        channel.close()
        pulse.close()
        os.close(leash)
        raise
    finally:
        its_channel.close()
        its_pulse.close()
        os.close(its_leash)
    return SpawnedWorker(program, process, channel, pulse, leash)


def spawn_zygote(kept: Sequence[int] = ()) -> SpawnedZygote:
    """Start the zygote that forks the reapers of this process, in a session of its own.

    Args:
        kept: descriptors that it and its reapers keep open until they exit.

    Raises:
        OSError: the system has no process or descriptor left.
    """
    control, its_control = socket.socketpair()
    passed = (its_control.fileno(), *kept)
    try:
        process = subprocess.Popen(
            [sys.executable, "-I", "-S", REAPER_PROGRAM, *map(str, passed)],
            stdin=subprocess.DEVNULL,
            stdout=2,
            pass_fds=passed,
            start_new_session=True,
        )
    except BaseException:
        control.close()
        raise
    finally:
        its_control.close()
    return SpawnedZygote(process, control)
