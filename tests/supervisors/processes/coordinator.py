"""A coordinator to be killed: holds a lock, has a job in a worker, says who is who.

Arguments: the lock, and how the script is run: by a job that waits for it, or left by one that has ended. The script
stands in the environment, where nobody looks for members of a family.
"""

import fcntl
import json
import os
import sys

import trio
from programs import PROTOCOL, Leave, Message, Output, Shell

from supervisors._pool import open_pool


async def main(lock: str, script: str, how: str) -> None:
    descriptor = os.open(lock, os.O_RDWR | os.O_CREAT)
    fcntl.flock(descriptor, fcntl.LOCK_SH)
    async with open_pool("programs:PROGRAM", PROTOCOL, hold_fds=(descriptor,)) as pool:

        async def on_message(message: Message) -> None:
            assert isinstance(message, Output)
            print(json.dumps({"worker": pool.workers[0].pid}), flush=True)  # noqa: T201 - how the test hears of it

        await pool.run(Shell(script) if how == "waited for" else Leave(script), on_message)
        await trio.sleep_forever()


trio.run(main, sys.argv[1], os.environ["SCRIPT"], sys.argv[2])
