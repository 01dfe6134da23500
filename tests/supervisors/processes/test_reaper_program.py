"""The loop that zygote and reapers share, in a process of its own."""

import subprocess
import sys
from pathlib import Path

import trio

import supervisors

REAPER = Path(supervisors.__file__).with_name("_reaper.py")

PROBE = """
import os, runpy, signal, socket, sys

program = runpy.run_path(sys.argv[1])


class Probe(program["Program"]):
    buried = 0

    def patience(self):
        return None if self.buried else 0

    def bury(self):
        self.buried += 1
        if self.buried == 2:
            os._exit(7)
        os.kill(os.getpid(), signal.SIGCHLD)

    def settle(self):
        pass


ours, its = socket.socketpair()
Probe(its).run()
"""


async def test_a_death_right_after_reaping_is_heard():
    """The signal that comes while the dead are being reaped must wake the next wait, or it is slept over."""
    with trio.fail_after(120):
        command = [sys.executable, "-I", "-S", "-c", PROBE, str(REAPER)]
        done = await trio.run_process(command, check=False, stdin=subprocess.DEVNULL)
    assert done.returncode == 7
