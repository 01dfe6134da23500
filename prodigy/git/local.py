"""Git as child processes of this one: the coordinator's runner.

Rules: each git has a session of its own, so that a terminal's Ctrl-C does not reach it. The leader's exit ends the
command, also if a hook left something in the background that holds its output. On cancellation the group gets SIGTERM
first, because git then removes its lock files, and SIGKILL soon after.
"""

import os
import signal
import subprocess
from collections.abc import Mapping, Sequence
from contextlib import suppress

import trio

from prodigy.git.cli import GitResult

_DRAIN_S = 0.2
_GRACE_S = 2.0
_KILLED = 128
"""Added to the number of the signal that ended a command, as a shell says it."""


class TrioRunner:
    """Runs git on this machine, under trio."""

    async def run(
        self,
        argv: Sequence[str],
        *,
        cwd: str,
        env: Mapping[str, str],
        stdin: bytes = b"",
    ) -> GitResult:
        """See `prodigy.git.cli.GitRunner`."""
        process = await trio.lowlevel.open_process(
            ["git", *argv],
            stdin=subprocess.PIPE if stdin else subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            cwd=cwd,
            env=env,
            start_new_session=True,
        )
        try:
            return await _converse(process, stdin)
        finally:
            await _end(process)


async def _converse(process: trio.Process, stdin: bytes) -> GitResult:
    """Feed and drain until the leader has ended, and a moment longer for what is still in the pipes."""
    stdout, stderr = bytearray(), bytearray()
    async with trio.open_nursery() as nursery:
        if process.stdin is not None:
            nursery.start_soon(_feed, process.stdin, stdin)
        async with trio.open_nursery() as readers:
            for stream, into in ((process.stdout, stdout), (process.stderr, stderr)):
                if stream is not None:
                    readers.start_soon(_collect, stream, into)
            code = await process.wait()
            readers.cancel_scope.deadline = trio.current_time() + _DRAIN_S
        nursery.cancel_scope.cancel()
    return GitResult(code if code >= 0 else _KILLED - code, bytes(stdout), bytes(stderr))


async def _feed(stream: trio.abc.SendStream, data: bytes) -> None:
    async with stream:
        with suppress(
            trio.BrokenResourceError
        ):  # it ended without reading everything; its exit code says why
            await stream.send_all(data)


async def _collect(stream: trio.abc.ReceiveStream, into: bytearray) -> None:
    async with stream:
        async for chunk in stream:
            into += chunk


async def _end(process: trio.Process) -> None:
    """Make sure that the process is gone; immediate unless it was cancelled."""
    if process.returncode is not None:
        return
    with trio.CancelScope(shield=True):
        _signal_group(process, signal.SIGTERM)
        with trio.move_on_after(_GRACE_S):
            await process.wait()
            return
        _signal_group(process, signal.SIGKILL)
        await process.wait()


def _signal_group(process: trio.Process, number: signal.Signals) -> None:
    with suppress(ProcessLookupError):
        os.killpg(process.pid, number)
