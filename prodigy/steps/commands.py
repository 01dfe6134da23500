"""Commands of one agent, each in the agent's own process slot.

A script ends when its leader exits; what it left running is killed, what is still in its pipes is read. Its output
goes to the attempt's log folder as it comes.
"""

import os
import re
from collections.abc import Awaitable, Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import TypeVar

import trio
from msgspec import structs
from trio.abc import ReceiveStream

from prodigy.events import Failure, StepSpawned, Stream
from prodigy.git.cli import GitResult
from prodigy.steps.durable import Done, LeafFailed, Place, StepRecorder
from prodigy.steps.output import OutputLog, last_line, short_tail
from prodigy.steps.protocol import AgentTask
from supervisors import Command, Exit, ProcessTree, Slot, SlotLost, SpawnFailed

T = TypeVar("T")
Sink = Callable[[bytes], object]

CHUNK = 64 * 1024
MAX_ARGUMENT = 96 * 1024
"""Bytes of a script that still go through argv; Linux refuses single arguments of 128 KiB."""


class SlotCommands:
    """Runs an agent's scripts in its slot.

    Args:
        slot: the agent's process slot.
        task: folder, environment, limits.
        recorder: told of each process that starts.
        place: whose steps these are.
    """

    def __init__(self, slot: Slot, task: AgentTask, recorder: StepRecorder, place: Place) -> None:
        self._slot = slot
        self._task = task
        self._recorder = recorder
        self._place = place

    async def run_script(
        self, script: str, *, path: str, try_: int, timeout: float | None, intent: int
    ) -> Done:
        """Run a script with ``sh``; see ``interpreter.Commands``."""
        name = Path(self._task.logs) / log_name(path, "shell", try_)
        with (
            OutputLog(name.with_name(name.name + ".out")) as out,
            OutputLog(name.with_name(name.name + ".err")) as err,
        ):
            command = Command(
                argv=self._argv(script, name),
                cwd=self._task.worktree,
                env=self._environment(path, try_, timeout),
            )
            try:
                ended, timed_out = await self._run(command, path, try_, timeout, intent, out, err)
            except SpawnFailed as error:
                raise LeafFailed(Failure(error_class="spawn-failed", message=error.message)) from None
            except SlotLost as error:
                raise LeafFailed(Failure(error_class="host-lost", message=error.reason)) from None
            stdout, stderr = out.stream(), err.stream()
        failure = failure_of(ended, timeout if timed_out else None, stdout, stderr)
        if failure is not None:
            raise LeafFailed(failure, stdout=stdout, stderr=stderr)
        return Done(stdout=stdout, stderr=stderr)

    async def _run(
        self,
        command: Command,
        path: str,
        try_: int,
        timeout: float | None,
        intent: int,
        out: OutputLog,
        err: OutputLog,
    ) -> tuple[Exit, bool]:
        """Start, tell, read and wait; how it ended, and whether time had to end it."""
        async with self._slot.start(command) as tree:
            spawned = StepSpawned(
                **self._place.at(path, try_),
                intent=intent,
                pid=tree.pid,
                start_time=tree.start_time,
                worker=os.getpid(),
            )
            await self._recorder.note(spawned)
            wait = partial(_wait, tree, timeout, self._task.grace)
            return await _read_until(wait, (tree.stdout, out.write), (tree.stderr, err.write))

    def _argv(self, script: str, name: Path) -> tuple[str, ...]:
        if len(script.encode("utf-8", "surrogateescape")) <= MAX_ARGUMENT:
            return ("sh", "-c", script)
        file = name.with_name(name.name + ".sh")
        file.write_text(script, encoding="utf-8", errors="surrogateescape")
        return ("sh", str(file))

    def _environment(self, path: str, try_: int, timeout: float | None) -> dict[str, str]:
        changing = {"PRODIGY_STEP": path, "PWD": self._task.worktree}
        if try_ > 1:
            changing["SHELL_ATTEMPT"] = str(try_)
        if timeout is not None:
            changing["PRODIGY_COMMAND_TIMEOUT"] = f"{timeout:g}"
        return {**self._task.environment, **changing}


class SlotGit:
    """Git in an agent's slot, so that what its hooks start belongs to the agent."""

    def __init__(self, slot: Slot) -> None:
        self._slot = slot

    async def run(
        self, argv: Sequence[str], *, cwd: str, env: Mapping[str, str], stdin: bytes = b""
    ) -> GitResult:
        """See ``git.cli.GitRunner``."""
        command = Command(argv=("git", *argv), cwd=cwd, env=dict(env), stdin=stdin)
        out, err = bytearray(), bytearray()
        try:
            async with self._slot.start(command) as tree:
                ended = await _read_until(tree.wait, (tree.stdout, out.extend), (tree.stderr, err.extend))
        except SpawnFailed as error:
            raise FileNotFoundError(error.errno, error.message) from error
        code = ended.code if ended.code is not None else 128 + (ended.signal or 0)
        return GitResult(code, bytes(out), bytes(err))


async def _wait(tree: ProcessTree, timeout: float | None, grace: float) -> tuple[Exit, bool]:
    with trio.move_on_after(float("inf") if timeout is None else timeout):
        return await tree.wait(), False
    return await tree.stop(grace), True


async def _read_until(wait: Callable[[], Awaitable[T]], *streams: tuple[ReceiveStream, Sink]) -> T:
    """Read streams to their ends while ``wait`` waits for the tree's; its result, or what it raises."""
    lost: SlotLost | None = None
    async with trio.open_nursery() as readers:
        for stream, sink in streams:
            readers.start_soon(_pump, stream, sink)
        try:
            ended = await wait()
        except SlotLost as error:  # raised outside the nursery, which would wrap it in a group
            lost = error
    if lost is not None:
        raise lost
    return ended


async def _pump(stream: ReceiveStream, sink: Sink) -> None:
    while chunk := await stream.receive_some(CHUNK):
        sink(bytes(chunk))


def failure_of(ended: Exit, timeout: float | None, stdout: Stream, stderr: Stream) -> Failure | None:
    """Why a command failed, or ``None`` if it exited with 0 in time."""
    failure = Failure(
        error_class="command-failed",
        message="",
        stdout_tail=short_tail(stdout.tail),
        stderr_tail=short_tail(stderr.tail),
        logs=tuple(log for log in (stdout.log, stderr.log) if log is not None),
        exit_code=ended.code or None,
        signal=ended.signal,
    )
    said = last_line(stderr.tail) or last_line(stdout.tail)
    because = f": {said}" if said else ""
    if timeout is not None:
        limit = f"{timeout:g} s"
        return structs.replace(
            failure, error_class="timeout", message=f"Timed out after {limit}", limit=limit
        )
    if ended.signal is not None:
        return structs.replace(failure, message=f"Killed by signal {ended.signal}{because}")
    if ended.code != 0:
        return structs.replace(failure, message=f"Exited with {ended.code}{because}")
    return None


def log_name(path: str, kind: str, try_: int) -> str:
    """File name of a leaf's logs without suffix: ``02-shell``, ``02.h1.01-shell``, ``02-shell.t2``."""
    short = re.sub(r"on_failure#(\d+)", r"h\1", path).replace("#", "-")
    padded = re.sub(r"(?<![\w-])\d(?!\d)", lambda digit: f"0{digit[0]}", short)
    return f"{padded}-{kind}" + (f".t{try_}" if try_ > 1 else "")
