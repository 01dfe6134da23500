"""Finds the processes of a test in the process table, and knows every way in which a process may try to survive.

Members of a family carry a number of their own among their arguments: they are found whatever became of their
environment, session, group or parents.
"""

import os
import secrets
import sys
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import trio

PATIENCE = 120.0
"""Seconds after which a condition is taken for one that never comes true: a bound of failure, no measure."""

STORM = """
import os, sys, time
end = time.monotonic() + 20
for _ in range(4):
    if os.fork() == 0:
        break
else:
    time.sleep(20)
    sys.exit()
while time.monotonic() < end:
    if sys.argv[1] == "setsid":
        os.setsid()
    if os.fork():
        os._exit(0)
"""


class Member(NamedTuple):
    """A process: pid, program as it was called, state as the kernel writes it."""

    pid: int
    program: str
    state: str


@dataclass(frozen=True)
class Family:
    """Processes that sleep for a number of seconds that nobody else sleeps."""

    tag: str

    @classmethod
    def new(cls) -> "Family":
        return cls(f"987.{secrets.randbelow(10**9):09}{os.getpid()}")

    def kind(self, name: str) -> str:
        """A shell command that starts one process, or a storm of them, in the background."""
        return KINDS[name].replace("TAG", self.tag)

    def everyone(self) -> str:
        """A shell command that starts one of each kind but the storms."""
        return "\n".join(self.kind(name) for name in CALM)

    def alive(self) -> list[Member]:
        """The members; zombies are dead."""
        members = []
        for name in filter(str.isdigit, os.listdir("/proc")):  # noqa: PTH208 - many and often: names are enough
            if self.tag.encode() in (arguments := read(f"/proc/{name}/cmdline")):
                stat = read(f"/proc/{name}/stat").rpartition(b")")[2].split()
                if stat and stat[0] not in (b"Z", b"X") and int(name) != os.getpid():
                    members.append(Member(int(name), arguments.split(b"\0")[0].decode(), stat[0].decode()))
        return members

    def sleepers(self) -> list[int]:
        """Pids of those that sleep, which is what all but storms become in the end."""
        return [member.pid for member in self.alive() if member.program == "sleep"]

    def is_up(self, kind: str) -> bool:
        """Whether a process of a kind has become what it is to be."""
        if kind == "stopped":
            return any(member.state == "T" for member in self.alive())
        if "storm" in kind:
            return any(member.program == sys.executable for member in self.alive())
        return bool(self.sleepers())

    async def until_up(self, kind: str) -> None:
        await until(lambda: self.is_up(kind))

    async def until_everyone_is_up(self) -> None:
        """All of ``everyone``."""
        await until(lambda: self.is_up("stopped") and len(self.sleepers()) == len(CALM) - 1)

    async def until_gone(self) -> None:
        await until(lambda: not self.alive())


PYTHON = f"{sys.executable} -I -S -c '{STORM}'"
KINDS = {
    "plain": "sleep TAG &",
    "deaf": "(trap '' TERM; exec sleep TAG) &",
    "setsid": "setsid sleep TAG &",
    "double fork": "(setsid sh -c '(sleep TAG &)' &)",
    "empty environment": "(env -i setsid sleep TAG &)",
    "stopped": "sh -c 'kill -STOP $$; exec sleep TAG' &",
    "storm": f"{PYTHON} plain TAG &",
    "setsid storm": f"{PYTHON} setsid TAG &",
}
"""Commands that go to the background; what they start carries ``TAG``."""
CALM = [name for name in KINDS if "storm" not in name]


def read(path: str) -> bytes:
    """Content of a file that may vanish; empty then."""
    with suppress(OSError):
        return Path(path).read_bytes()
    return b""


def children(pid: int) -> list[int]:
    """Direct children, zombies too."""
    return [int(child) for child in read(f"/proc/{pid}/task/{pid}/children").split()]


def name_of(pid: int) -> str:
    return read(f"/proc/{pid}/comm").decode().strip()


def zygote_of(pid: int) -> int:
    """The zygote of a worker."""
    return next(child for child in children(pid) if name_of(child) == "zygote")


async def until(condition: Callable[[], bool]) -> None:
    """Wait until a condition holds."""
    with trio.fail_after(PATIENCE):
        while not condition():
            await trio.sleep(0.01)
