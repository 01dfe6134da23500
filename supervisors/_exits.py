"""Waits for the end of child processes, each by its own descriptor, so that nobody's exit code is stolen."""

import os
from subprocess import Popen

import trio


async def wait_exit(process: Popen[bytes]) -> int:
    """Wait until a child has ended, reap it, and give its return code (negative: the signal that killed it)."""
    if process.poll() is None:
        descriptor = os.pidfd_open(process.pid)
        try:
            await trio.lowlevel.wait_readable(descriptor)
        finally:
            os.close(descriptor)
    return process.wait()
