"""A command that hides what it starts, ended as a whole.

    python examples/supervision/trees.py

Look at: `SCRIPT`. Its grandchild has another session, another parent and no environment, and both are deaf to SIGTERM.
Nothing about it can be found out afterwards; that it belongs to the command is known only because it hangs below the
command's reaper, as everything does that comes of a command. Linux only.
"""

import os
import signal
from pathlib import Path

import trio

from supervisors import Command, ProcessTree, open_slots

SCRIPT = """
trap '' TERM
(env -i setsid sh -c 'echo $$; exec sleep 1000' &)
sleep 1000 &
echo $$
wait
"""


async def pids_of(tree: ProcessTree) -> list[int]:
    """The pids of grandchild and child, in whichever order the script says them."""
    said = b""
    while said.count(b"\n") != SCRIPT.count("echo $$"):
        said += await tree.stdout.receive_some()
    return [int(line) for line in said.split()]


def states(pids: list[int]) -> str:
    """Who is still there."""
    return ", ".join("alive" if Path(f"/proc/{pid}").exists() else "gone" for pid in pids)


async def main() -> None:
    """Run the script and stop it; run it again and walk away."""
    async with open_slots() as slots, slots.lease() as slot:
        command = Command(argv=("sh", "-c", SCRIPT), cwd="/", env=dict(os.environ))
        async with slot.start(command) as tree:
            pids = await pids_of(tree)
            print("running:", states(pids), "in", len({os.getsid(pid) for pid in pids}), "sessions")
            end = await tree.stop(grace=0.2)
            assert end.signal is not None
            print("stopped:", signal.Signals(end.signal).name, "and", end.left_over, "left over")
        print("after:", states(pids))

        print("and when the block is left early, by an error or a cancellation:")
        with trio.move_on_after(1):
            async with slot.start(command) as tree:
                pids = await pids_of(tree)
                await tree.wait()
        print("after:", states(pids))


if __name__ == "__main__":
    trio.run(main)
