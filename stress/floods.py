"""Floods: of messages, of output, of huge and of garbled frames, of processes; memory stays bounded, nothing is lost.

Rules: the reader is always slower than the writer, and what would be piled up without back-pressure is many times what
memory may grow by. Peaks are those of the kernel, reset before each flood.
"""

from collections import Counter
from pathlib import Path

import msgspec
import trio

from stress import _program
from stress._inspection import MIB, Inspection, judged, peak
from stress._process_tests import (
    PROGRAM,
    PROTOCOL,
    Echo,
    Family,
    Message,
    Misbehave,
    Number,
    Output,
    Shell,
    Talk,
    environment,
    shell,
)
from stress._program import Fill
from stress._report import Report, scaled
from stress._rounds import repeat
from supervisors import (
    Actor,
    ChildSpec,
    FrameTooLarge,
    HostLost,
    JobFailed,
    Limits,
    MailboxFull,
    Overflow,
    Supervisor,
    WorkerPool,
    open_pool,
    open_slots,
    open_supervisor,
)

KIND = "stress"
GROWTH = 16
"""MiB by which a process may grow while it is flooded with some hundreds."""
PAYLOAD = 16_384
BOMBS = 20

Pool = WorkerPool[object, Message, int, object]


def main() -> int:
    """0 if nothing grew and nothing was lost."""
    return judged(check, growth=32 * MIB)


async def check(report: Report, inspection: Inspection) -> None:
    await flood_mailbox(report, Overflow.WAIT)
    await flood_mailbox(report, Overflow.REFUSE)
    async with open_pool(PROGRAM, PROTOCOL, env=environment(), losses=1000) as pool:
        await pool.run(Echo("warm"))
        inspection.mark()
        await flood_with_messages(report, pool)
        await flood_with_output(report, pool)
        await flood_with_garbage(report, pool)
    await flood_with_huge_frames(report)
    await flood_with_processes(report)


# Peaks -----------------------------------------------------------------------------------------------------------


class Peaks:
    """How far processes grow from now on.

    Args:
        pids: of workers; this process is always one of them.
    """

    def __init__(self, *pids: int) -> None:
        self.before = {pid: self._reset(pid) for pid in ("self", *map(str, pids))}

    def growth(self) -> int:
        """Whole MiB of the one that grew most."""
        return max((peak(pid) - before) // MIB for pid, before in self.before.items())

    def _reset(self, pid: str) -> int:
        Path(f"/proc/{pid}/clear_refs").write_text("5")
        return peak(pid)


# Mailboxes -------------------------------------------------------------------------------------------------------


class Letter(msgspec.Struct, frozen=True):
    """A message of some weight."""

    sender: int
    number: int
    weight: bytes


class SlowReader(Actor[Letter]):
    """Takes its time, and looks whether each sender's letters come in order."""

    def __init__(self) -> None:
        self.next: Counter[int] = Counter()
        self.read = self.disordered = 0

    async def handle(self, message: Letter) -> None:
        """Read a letter."""
        self.disordered += message.number < self.next[message.sender]
        self.next[message.sender] = message.number + 1
        self.read += 1
        if self.read % 10 == 0:
            await trio.sleep(0.001)


async def flood_mailbox(report: Report, overflow: Overflow) -> None:
    """100 senders that never pause, one reader that does."""
    reader, peaks, refused = SlowReader(), Peaks(), 0
    each = scaled(300 if overflow is Overflow.WAIT else 3000)
    spec = ChildSpec("reader", lambda: reader, capacity=64, overflow=overflow, drain=True, shutdown=60.0)

    async def send(sender: int) -> None:
        nonlocal refused
        for number in range(each):
            try:
                await spec.ref.tell(Letter(sender, number, bytes(PAYLOAD)))
            except MailboxFull:
                refused += 1

    async with open_supervisor(Supervisor([spec])), trio.open_nursery() as nursery:
        for sender in range(100):
            nursery.start_soon(send, sender)
    size = 100 * each * PAYLOAD // MIB
    name = f"{size} MiB of letters, {overflow.value}: {reader.read} read, {refused} refused"
    report.law(f"{name}, grew {peaks.growth()} MiB", holds=peaks.growth() <= GROWTH)
    report.law(
        "none lost, none out of order", holds=reader.read + refused == 100 * each and not reader.disordered
    )


# Workers ---------------------------------------------------------------------------------------------------------


async def flood_with_messages(report: Report, pool: Pool) -> None:
    """A job that tells without pause, to a listener that pauses; other jobs of the worker go on."""
    count, heard, disordered = scaled(20_000), 0, 0

    async def listen(message: Message) -> int | None:
        nonlocal heard, disordered
        if not isinstance(message, Number):
            return heard
        disordered += message.value != heard
        heard += 1
        if heard % 100 == 0:
            await trio.sleep(0.005)
        return None

    peaks = Peaks(pool.workers[0].pid)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(pool.run, Talk(count, PAYLOAD), listen)
        while heard < count // 2:
            await pool.run(Echo("between"))
    size = count * PAYLOAD // MIB
    report.law(f"{size} MiB of messages: grew {peaks.growth()} MiB", holds=peaks.growth() <= GROWTH)
    report.law("none lost, none out of order", holds=heard == count and not disordered)


async def flood_with_output(report: Report, pool: Pool) -> None:
    """Commands that write without pause, to listeners that pause."""
    size, heard = scaled(100) * MIB, Counter[int]()

    async def run(number: int) -> None:
        async def listen(message: Message) -> None:
            assert isinstance(message, Output)
            heard[number] += len(message.text)
            await trio.sleep(0.001)

        await pool.run(Shell(f"yes | head -c {size}"), listen)

    peaks = Peaks(pool.workers[0].pid)
    async with trio.open_nursery() as nursery:
        for number in range(3):
            nursery.start_soon(run, number)
    report.law(f"3 x {size // MIB} MiB of output: grew {peaks.growth()} MiB", holds=peaks.growth() <= GROWTH)
    report.law("not a byte lost", holds=set(heard.values()) == {size})


async def flood_with_garbage(report: Report, pool: Pool) -> None:
    """Workers that break the protocol are lost, each alone, and replaced."""
    peaks, ends = Peaks(), Counter[str]()
    for how in ["garbage", "oversize", "half a frame", "stranger", "flood"] * scaled(5):
        try:
            await pool.run(Misbehave(how), dawdle)
        except HostLost:
            ends[how] += 1
    report.law(
        f"garbled frames, workers lost: {dict(ends)}",
        holds=set(ends.values()) == {scaled(5)} and len(ends) == 5,
    )
    report.law(f"grew {peaks.growth()} MiB, and the pool goes on", holds=peaks.growth() <= GROWTH)
    await pool.run(Echo("on"))


async def dawdle(_message: Message) -> None:
    """Listen, slowly; a job that nobody listens to is never ahead of anybody."""
    await trio.sleep(0.2)


async def flood_with_huge_frames(report: Report) -> None:
    """Results as large as a frame may be, then larger."""
    size, heard, refused = 60 * MIB, 0, 0
    async with open_pool(_program.NAME, _program.PROTOCOL, env=environment()) as pool:
        await pool.run(Fill(1))
        peaks = Peaks(pool.workers[0].pid)
        for _ in range(scaled(10)):
            heard += len((await pool.run(Fill(size))).content)
            try:
                await pool.run(Fill(size + 8 * MIB))
            except (JobFailed, FrameTooLarge):
                refused += 1
        growth = peaks.growth() * MIB / size
        report.law(f"{scaled(10)} results of 60 MiB: grew by {growth:.1f} of them", holds=growth < 6)
        report.law(
            "all arrived, larger ones were refused",
            holds=heard == scaled(10) * size and refused == scaled(10),
        )
        report.law("by one and the same worker", holds=pool.workers[0].number == 1)


# Processes -------------------------------------------------------------------------------------------------------

BOMB = "b() {{ [ $1 -gt 8 ] && exec sleep {tag}; sleep 0.3; b $(($1 + 1)) & b $(($1 + 1)) & wait; }}; b 0"
"""Doubles every 0.3 s, and by itself stops at some 1,500 processes: the limit is looked at once a second."""


async def flood_with_processes(report: Report) -> None:
    """Fork bombs under a limit."""
    survivors: list[object] = []
    breaches: Counter[str] = Counter()
    async with open_slots() as slots:

        async def run() -> float:
            family = Family.new()
            async with slots.lease() as slot:
                command, limits = shell(BOMB.format(tag=family.tag)), Limits(processes=100)
                async with slot.start(command, limits) as tree:
                    await tree.wait()
                breaches[tree.breach.limit if tree.breach else "none"] += 1
            survivors.extend(family.alive())
            return 0.0

        await repeat(scaled(BOMBS), run, at_a_time=4)
    report.law(
        f"{scaled(BOMBS)} fork bombs: {dict(breaches)}", survivors, holds=set(breaches) == {"processes"}
    )
