"""Process trees: a command and everything that comes of it, which ends as a whole.

Rules:

- A tree ends when its leader does; what the leader left running is killed first, and only then is the exit told. So
  after ``wait`` nothing of the tree lives and both pipes reach their end.
- Not reading an output is back-pressure: the pipe fills and the command waits.
- Leaving the block of a tree early ends it, politely if the slots' grace says so, and waits for that under a shield.
"""

from collections.abc import Generator
from contextlib import contextmanager, suppress

import msgspec
import trio

from supervisors._control import Exited, Failed, Started
from supervisors._output import OutputStream
from supervisors._zygote import ReaperLine, Zygote
from supervisors.limits import Breach
from supervisors.process_errors import SlotLost, SpawnFailed

START_LIMIT = 30.0
"""Seconds a reaper may take to start a command: thousands of times what it needs."""
KILL_LIMIT = 10.0
"""Seconds after SIGKILL after which a reaper is taken for stuck and is killed in its turn."""


class Command(msgspec.Struct, frozen=True, kw_only=True):
    """What to execute. It gets a session of its own.

    Attributes:
        argv: program and arguments; a program without a slash is looked for in the ``PATH`` of ``env``.
        cwd: the folder to run in.
        env: the whole environment; nothing is added.
        stdin: what it can read; a whole text, held in memory until it has been started.
        open_files: how many descriptors it and its descendants may open each; ``None``: as many as we were started with.
        one_pipe: whether what it writes to its error output comes out of ``stdout`` too, as it was written in between;
            ``stderr`` is then at its end from the beginning.
    """

    argv: tuple[str, ...]
    cwd: str
    env: dict[str, str]
    stdin: bytes = b""
    open_files: int | None = None
    one_pipe: bool = False


class Exit(msgspec.Struct, frozen=True, kw_only=True):
    """How a tree ended.

    Attributes:
        code: exit code of the leader; ``None`` when a signal killed it.
        signal: number of that signal.
        user_cpu: seconds spent by the leader, what it waited for, and what outlived it.
        system_cpu: the same in the kernel.
        max_rss: bytes of the largest process.
        left_over: how many processes beside the leader had to be killed.
    """

    code: int | None
    signal: int | None
    user_cpu: float
    system_cpu: float
    max_rss: int
    left_over: int


class Grace:
    """How the trees of one owner end when their block is left early, and which are being stopped right now.

    Attributes:
        seconds: between SIGTERM and SIGKILL; 0 kills at once.
    """

    def __init__(self, seconds: float = 0.0) -> None:
        self.seconds = seconds
        self._stopping: set[ProcessTree] = set()

    def holds(self, tree: "ProcessTree") -> bool:
        """Whether a tree is being stopped."""
        return tree in self._stopping

    def hurry(self) -> None:
        """Kill at once what is being stopped, and from now on whatever ends by leaving its block."""
        self.seconds = 0.0
        for tree in self._stopping:
            tree.hurry()

    @contextmanager
    def stopping(self, tree: "ProcessTree") -> Generator[None]:
        """Mark a tree as being stopped, so that ``hurry`` finds it."""
        self._stopping.add(tree)
        try:
            yield
        finally:
            self._stopping.discard(tree)


class ProcessTree:
    """A command that has been started, and everything that comes of it.

    Attributes:
        pid: of the leader, which is also its session and process group.
        start_time: of the leader, in clock ticks since boot; pid, start time and boot id name a process for ever.
        reaper: pid of the process that owns the tree: whatever is below it in the process table is the tree's.
        stdout: what it writes, at most a pipe's content ahead of the reader.
        stderr: the same.
        breach: the first of its limits that it has breached, for which it is killed; ``wait`` tells its exit as ever.
    """

    def __init__(
        self,
        started: Started,
        outputs: tuple[OutputStream, OutputStream],
        line: ReaperLine,
        zygote: Zygote,
        grace: Grace,
    ) -> None:
        self.pid = started.pid
        self.start_time = started.start_time
        self.reaper = line.pid
        self.stdout, self.stderr = outputs
        self.breach: Breach | None = None
        self._line = line
        self._zygote = zygote
        self._grace = grace
        self._reading = trio.Lock()
        self._end: Exit | SlotLost | None = None

    async def wait(self) -> Exit:
        """Wait until the leader has ended and nothing of the tree is left; any number of tasks may.

        Raises:
            SlotLost: the reaper was killed; the tree is dead too.
        """
        async with self._reading:  # whoever comes first reads for all
            if self._end is None:
                self._end = await self._read_end()
        if isinstance(self._end, SlotLost):
            raise self._end
        return self._end

    async def stop(self, grace: float) -> Exit:
        """Send SIGTERM to every process of the tree, after ``grace`` seconds SIGKILL to those left; wait for the end.

        Args:
            grace: seconds; 0 kills at once.

        Raises:
            SlotLost: the reaper was killed, or did not answer and was killed for it; the tree is dead too.
        """
        if self._end is None:
            self._line.control.post({"op": "stop", "grace": grace} if grace > 0 else {"op": "kill"})
        with self._grace.stopping(self), trio.move_on_after(max(grace, 0.0) + KILL_LIMIT):
            return await self.wait()
        await self._zygote.discard(self._line)  # ends the reading as well, whoever does it
        return await self.wait()

    async def kill(self) -> Exit:
        """Kill every process of the tree at once and wait for the end.

        Raises:
            SlotLost: as ``stop``.
        """
        return await self.stop(0.0)

    def hurry(self) -> None:
        """End the grace of a stop that is under way."""
        self._line.control.post({"op": "kill"})

    def ending(self) -> bool:
        """Whether it has ended, told or not, or is being stopped."""
        return self._end is not None or self._grace.holds(self) or not self._line.control.quiet()

    def unread(self) -> bool:
        """Whether it has written something that nobody has read yet."""
        return self.stdout.unread() or self.stderr.unread()

    def condemn(self, breach: Breach) -> None:
        """Note why it must die; the first reason stands."""
        self.breach = self.breach or breach

    async def execute(self) -> None:
        """Kill it on behalf of somebody who does not care how it ended."""
        with suppress(SlotLost):
            await self.kill()

    async def leave(self) -> None:
        """End with the block: nothing survives it, whatever cancels us."""
        with trio.CancelScope(shield=True):
            try:
                await self.stop(self._grace.seconds)
            except SlotLost:
                pass
            finally:
                await self.stdout.aclose()
                await self.stderr.aclose()

    async def _read_end(self) -> Exit | SlotLost:
        try:
            reply = await self._line.control.receive()
        except trio.EndOfChannel:
            dead = await self._zygote.discard(self._line)
            return SlotLost(
                "the reaper was killed" if dead else "the reaper is gone and its zygote does not answer"
            )
        assert isinstance(reply, Exited)
        self._line.idle = True
        return Exit(**msgspec.structs.asdict(reply))


async def launch(
    command: Command, streams: tuple[int, int, int], line: ReaperLine, zygote: Zygote
) -> Started:
    """Have a reaper start a command; a start that has begun is not cancelled, since somebody must own what it began.

    Args:
        command: what to execute.
        streams: descriptors for stdin, stdout and stderr; they stay the caller's to close.
        line: to an idle reaper.
        zygote: of that reaper.

    Raises:
        SpawnFailed: the command could not be started.
        SlotLost: the reaper died or did not answer.
    """
    line.idle = False
    request = {
        "op": "start",
        "argv": command.argv,
        "cwd": command.cwd,
        "env": command.env,
        "open_files": command.open_files,
    }
    with trio.move_on_after(START_LIMIT, shield=True):
        try:
            await line.control.send(request, streams)
            reply = await line.control.receive()
        except trio.EndOfChannel:
            reply = None
        if isinstance(reply, Started):
            return reply
        if isinstance(reply, Failed):
            line.idle = True
            raise SpawnFailed(reply.errno, reply.message)
    await zygote.discard(line)
    raise SlotLost("the reaper did not start the command")
