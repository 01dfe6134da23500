"""A coordinator to be killed: holds a lock, runs a script in a worker, says who is who."""

import fcntl
import json
import os
import sys

import trio
from programs import PROTOCOL, Message, Output, Shell

from supervisors._pool import open_pool


async def main(lock: str, script: str) -> None:
    descriptor = os.open(lock, os.O_RDWR | os.O_CREAT)
    fcntl.flock(descriptor, fcntl.LOCK_SH)
    async with open_pool("programs:PROGRAM", PROTOCOL, hold_fds=(descriptor,)) as pool:

        async def on_message(message: Message) -> None:
            assert isinstance(message, Output)
            print(json.dumps({"worker": pool.workers[0].pid}), flush=True)  # noqa: T201 - how the test hears of it

        await pool.run(Shell(script), on_message)


trio.run(main, sys.argv[1], sys.argv[2])
