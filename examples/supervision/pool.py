"""Jobs in worker processes, one of which is killed with SIGKILL in the middle of its work.

    python examples/supervision/pool.py

Look at: the job that comes back as `HostLost` and is simply run again, the one that raised and comes back as data, and
the number of the worker. Nothing that a lost job had started is alive when `HostLost` is raised, so running it again
cannot meet its own past.
"""

import os
import signal
from pathlib import Path

import msgspec
import trio

from supervisors import (
    HostLost,
    JobFailed,
    JobLink,
    JobProtocol,
    SlotPool,
    WorkerPool,
    WorkerProgram,
    open_pool,
)


class Square(msgspec.Struct):
    """The job."""

    number: int


PROTOCOL = JobProtocol(job=Square, message=str, answer=bool, result=int)


async def serve(job: Square, link: JobLink[str, bool], _: SlotPool) -> int:
    """Serve one job, in a worker process, beside others."""
    if job.number < 0:
        raise ValueError("only what is not negative")
    await link.ask("may I?")
    return job.number**2


PROGRAM = WorkerProgram(PROTOCOL, serve)


async def square(pool: WorkerPool[Square, str, bool, int], number: int) -> None:
    """Run one job until it has an outcome; kill the first worker that asks."""

    async def on_message(message: str) -> bool:
        worker = pool.workers[0]
        print(f"  worker {worker.number}, {worker.jobs[0]}: {message}")
        if worker.number == 1:
            os.kill(worker.pid, signal.SIGKILL)
        return True

    try:
        print("  result:", await pool.run(Square(number), on_message, name=f"square of {number}"))
    except HostLost as error:
        print(f"  {error}; once more")
        await square(pool, number)
    except JobFailed as error:
        print(f"  {error}")


async def main() -> None:
    """Run two jobs."""
    environment = os.environ | {"PYTHONPATH": str(Path(__file__).parent)}  # where workers find this module
    async with open_pool("pool:PROGRAM", PROTOCOL, env=environment) as pool:
        await square(pool, 6)
        await square(pool, -1)


if __name__ == "__main__":
    trio.run(main)
