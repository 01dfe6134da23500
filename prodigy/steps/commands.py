"""Commands of one agent, each in a process slot of its own for as long as it runs.

A command ends when its leader exits; what it left running is killed, what is still in its pipes is read. Its output
goes to the attempt's log folder as it comes.
"""

import os
import re
from collections.abc import AsyncGenerator, Callable, Generator, Mapping
from contextlib import AsyncExitStack, ExitStack, asynccontextmanager, contextmanager
from functools import partial
from pathlib import Path

import trio
from msgspec import Struct, structs

from prodigy.crash_points import crash_point
from prodigy.events import Failure, StepDetached, StepSpawned, Stream
from prodigy.steps.detached import kept, left_for_good, release
from prodigy.steps.durable import LeafFailed, Place, StepRecorder, Texts
from prodigy.steps.hidden import Hidden
from prodigy.steps.keeper import Begun, Charge
from prodigy.steps.limits import Allowance
from prodigy.steps.output import Logs, last_line, short_tail
from prodigy.steps.patience import Listener, Patience
from prodigy.steps.protocol import INPUT
from prodigy.steps.streams import Kept, Sink, read_until, to_all
from prodigy.store.atomic import private_folder
from prodigy.store.locks import Claim
from prodigy.workflow.model import Limits, Until
from supervisors import Breach, Command, Exit, ProcessTree, SlotLost, SlotPool, SpawnFailed

MAX_ARGUMENT = 96 * 1024
"""Bytes of a script that still go through argv; Linux refuses single arguments of 128 KiB."""


class Order(Struct, frozen=True, kw_only=True):
    """A command to run.

    Times are in seconds; ``idle`` is how long it may say nothing. ``keep`` is how many bytes of each stream are kept
    for captures; 0 keeps none but the usual tail.
    """

    argv: tuple[str, ...]
    cwd: str
    env: Mapping[str, str]
    stdin: bytes = b""
    timeout: float | None = None
    idle: float | None = None
    grace: float | None = None
    limits: Limits | None = None
    keep: int = 0
    one_pipe: bool = False
    """Whether its error output is part of its standard output, each in its place."""
    listen: Listener | None = None
    """Told each chunk of standard output; says when the command has said enough."""
    private: bool = False
    """Whether what it prints must not be written down; then it is only kept."""
    claude_session: str | None = None
    """The conversation that it begins, if it is Claude."""
    excerpt: Callable[[bytes], bytes] | None = None
    """What of each chunk of its standard output is written down; ``None``: all of it."""


class Ran(Struct, frozen=True, kw_only=True):
    """How a command ended.

    ``failure`` is ``None`` if it exited with 0, in time and within its limits, or if it was ended because it had said
    enough.
    """

    failure: Failure | None
    exit_code: int | None
    stdout: Stream
    stderr: Stream
    texts: Texts | None = None
    """All it printed, if that was to be kept."""


class LeafPlace(Struct, frozen=True, kw_only=True):
    """Which leaf a command belongs to."""

    path: str
    try_: int
    kind: str
    intent: int


class SlotCommands:
    """Runs an agent's commands.

    Args:
        slots: where they run.
        logs: folder of the attempt's logs.
        grace: seconds between SIGTERM and SIGKILL, if a command has none of its own.
        allowance: what the whole attempt may use.
        recorder: told of each process that starts.
        place: whose steps these are.
        hidden: secrets that must not reach a log.
    """

    def __init__(
        self,
        slots: SlotPool,
        logs: str,
        grace: float,
        allowance: Allowance,
        recorder: StepRecorder,
        place: Place,
        hidden: Hidden,
    ) -> None:
        self._slots = slots
        self._logs = Path(logs)
        self._grace = grace
        self._allowance = allowance
        self._recorder = recorder
        self._place = place
        self._hidden = hidden
        self._background: trio.Nursery | None = None
        self._begun = self._running = 0
        self._left_running = False

    @property
    def at_rest(self) -> int | None:
        """How many commands have run; ``None`` while one runs, and for good once one was left running."""
        return None if self._running or self._left_running else self._begun

    @asynccontextmanager
    async def open(self) -> AsyncGenerator[None]:
        """Have a place for detached commands; leaving the block ends those that still run."""
        failure: Exception | None = None
        async with trio.open_nursery() as nursery:
            self._background = nursery
            try:
                yield
            except Exception as error:  # noqa: BLE001 - raised below, where no group wraps it
                failure = error
            finally:
                self._background = None
                nursery.cancel_scope.cancel()
        if failure is not None:
            raise failure

    async def run(self, order: Order, leaf: LeafPlace) -> Ran:
        """See ``interpreter.Commands``."""
        self._begun += 1
        self._running += 1
        try:
            return await self._ran(order, leaf)
        finally:
            self._running -= 1

    async def _ran(self, order: Order, leaf: LeafPlace) -> Ran:
        kept = Kept(order.keep)
        with ExitStack() as logs:
            out, err = (None, None) if order.private else logs.enter_context(self._logs_of(leaf))
            sinks = (
                to_all(kept.out, None if out is None else _excerpted(out.write, order.excerpt)),
                to_all(kept.err, None if err is None else err.write),
            )
            with _start_failures():
                ended, patience, breach = await self._run(self._written(order, leaf), leaf, sinks)
            stdout, stderr = (Stream() if log is None else log.stream() for log in (out, err))
        excerpted = order.excerpt is not None
        self._allowance.spend(ended.user_cpu + ended.system_cpu, kept.size, excerpted=excerpted)
        timeout = order.timeout if patience.timed_out else None
        failure = None if patience.satisfied else failure_of(ended, timeout, breach, stdout, stderr)
        texts = kept.texts() if order.keep else None
        return Ran(failure=failure, exit_code=ended.code, stdout=stdout, stderr=stderr, texts=texts)

    async def detach(self, order: Order, leaf: LeafPlace, until: Until) -> None:
        """See ``stage.Commands``."""
        assert self._background is not None, "detached outside its block"
        self._left_running = True
        order = self._written(order, leaf)
        claim = await self._claim(leaf, until)
        if claim is None:
            return
        stay = partial(self._stay, order, leaf, until, claim)
        try:
            with _start_failures():
                match until:
                    case "agent":
                        await self._background.start(stay, self._slots)
                    case "run":
                        await self._slots.lasting.start(stay)
                    case "forever":
                        await self._release(order, leaf, claim)
        except BaseException:
            claim.close()
            raise

    async def _claim(self, leaf: LeafPlace, until: Until) -> Claim | None:
        """The right to start a leaf's command; ``None`` if it runs already, which is then recorded."""
        log = self._log(leaf)
        path = log.with_name(f"{log.name}.running")
        while (claim := Claim.take(path)) is None:
            if (found := await kept(path)) is not None:
                await self._recorder.note(
                    self._detached(leaf, until, Begun(found.pid, found.start_time, found.boot_id))
                )
                return None
        return claim

    async def _release(self, order: Order, leaf: LeafPlace, claim: Claim) -> None:
        charge = Charge(
            argv=order.argv,
            cwd=order.cwd,
            env=left_for_good(order.env),
            log=str(self._log(leaf)),
            secrets=dict(self._hidden.masker.secrets),
        )
        begun = await release(charge, claim)
        claim.close()
        await self._recorder.note(self._detached(leaf, "forever", begun))

    def _detached(self, leaf: LeafPlace, until: Until, begun: Begun) -> StepDetached:
        return StepDetached(
            **self._place.at(leaf.path, leaf.try_),
            intent=leaf.intent,
            pid=begun.pid,
            start_time=begun.start_time,
            boot_id=begun.boot_id,
            until=until,
        )

    def leave(self, leaf: LeafPlace, suffix: str, content: bytes) -> str:
        """Put a file beside the leaf's logs; its absolute path."""
        private_folder(self._logs, durable=False)
        content = self._hidden.masker.raw(content)
        log = self._log(leaf)
        file = log.with_name(log.name + suffix)
        with crash_point("log.leave"):
            file.write_bytes(content)
        file.chmod(0o600)
        return str(file)

    async def _stay(
        self,
        order: Order,
        leaf: LeafPlace,
        until: Until,
        claim: Claim,
        slots: SlotPool,
        *,
        task_status: trio.TaskStatus[None],
    ) -> None:
        """Run a command beside the steps to come, or beside the agents to come."""
        started = False
        try:
            with self._logs_of(leaf) as (out, err):
                async with self._tree(slots, order) as tree:
                    named = claim.name(tree.pid)
                    begun = Begun(tree.pid, tree.start_time, named.boot_id)
                    await self._recorder.note(self._detached(leaf, until, begun))
                    started = True
                    task_status.started()
                    await read_until(tree.wait, (tree.stdout, out.write), (tree.stderr, err.write))
        except SlotLost:
            if not started:
                raise
        finally:
            claim.close()

    async def _run(
        self, order: Order, leaf: LeafPlace, sinks: tuple[Sink, Sink]
    ) -> tuple[Exit, Patience, Breach | None]:
        """Start, tell, read and wait; how it ended, whether time had to end it, or a limit."""
        async with self._tree(self._slots, order) as tree:
            spawned = StepSpawned(
                **self._place.at(leaf.path, leaf.try_),
                intent=leaf.intent,
                pid=tree.pid,
                start_time=tree.start_time,
                worker=os.getpid(),
                claude_session=order.claude_session,
            )
            await self._recorder.note(spawned)
            patience = Patience(order.timeout, order.listen)
            wait = partial(_wait, tree, patience, self._grace if order.grace is None else order.grace)
            told = to_all(sinks[0], patience.heard)
            ended = await read_until(wait, (tree.stdout, told), (tree.stderr, sinks[1]))
            return ended, patience, tree.breach

    @asynccontextmanager
    async def _tree(self, slots: SlotPool, order: Order) -> AsyncGenerator[ProcessTree]:
        command = Command(
            argv=order.argv, cwd=order.cwd, env=dict(order.env), stdin=order.stdin, one_pipe=order.one_pipe
        )
        limits = self._allowance.limits(order.limits, order.idle, excerpted=order.excerpt is not None)
        async with AsyncExitStack() as running:
            slot = await running.enter_async_context(slots.lease())
            with crash_point("step.spawn"):
                tree = await running.enter_async_context(slot.start(command, limits))
            yield tree

    def _log(self, leaf: LeafPlace) -> Path:
        """Where the leaf's logs are, without a suffix."""
        return self._logs / log_name(leaf.path, leaf.kind, leaf.try_)

    def _logs_of(self, leaf: LeafPlace) -> Logs:
        return Logs(self._log(leaf), self._hidden.masker, named=leaf.path.startswith(INPUT))

    def _written(self, order: Order, leaf: LeafPlace) -> Order:
        """The order with a script that is too long for an argument in a file."""
        *before, last = order.argv
        if before[-1:] != ["-c"] or len(last.encode("utf-8", "surrogateescape")) <= MAX_ARGUMENT:
            return order
        content = last.encode("utf-8", "surrogateescape")
        if self._hidden.masker.found(content):
            message = f"A script of more than {MAX_ARGUMENT // 1024} KiB holds the value of a secret"
            raise LeafFailed(Failure(error_class="bad-value", message=message))
        file = self.leave(leaf, ".sh", content)
        return structs.replace(order, argv=(*before[:-1], file))


def _excerpted(write: Sink, excerpt: Callable[[bytes], bytes] | None) -> Sink:
    return write if excerpt is None else lambda chunk: write(excerpt(chunk))


async def _wait(tree: ProcessTree, patience: Patience, grace: float) -> Exit:
    with patience.scope:
        return await tree.wait()
    return await tree.stop(grace)


@contextmanager
def _start_failures() -> Generator[None]:
    """A command that cannot be started fails its leaf; a lost slot is nobody's failure and takes the attempt along."""
    try:
        yield
    except SpawnFailed as error:
        raise LeafFailed(Failure(error_class="spawn-failed", message=error.message)) from None


def failure_of(
    ended: Exit, timeout: float | None, breach: Breach | None, stdout: Stream, stderr: Stream
) -> Failure | None:
    """Why a command failed, or ``None`` if it exited with 0 in time and within its limits."""
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
    if breach is not None and breach.limit == "idle":
        limit = f"{breach.max:g} s"
        return structs.replace(failure, error_class="timeout", message=f"Silent for {limit}", limit=limit)
    if breach is not None:
        return structs.replace(failure, error_class="limit-exceeded", message=str(breach), limit=str(breach))
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
