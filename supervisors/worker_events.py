"""What a pool tells its listener, and what it shows of its workers."""

import msgspec


class WorkerStarted(msgspec.Struct, frozen=True, tag=True):
    """A worker process has been started; it may still be importing.

    Attributes:
        number: counts up over the life of the pool; a replacement gets a number of its own.
        pid: of the process, also its session.
    """

    number: int
    pid: int


class WorkerStopped(msgspec.Struct, frozen=True, tag=True):
    """A worker has ended because the pool asked it to."""

    number: int
    pid: int


class WorkerLost(msgspec.Struct, frozen=True, tag=True):
    """A worker has died, hung or spoken nonsense; it and all its process trees are gone.

    Attributes:
        number: of the worker.
        pid: of its process.
        reason: as a phrase, e.g. ``"killed by SIGKILL"``.
        jobs: names of those that it took along; they end with ``HostLost``.
    """

    number: int
    pid: int
    reason: str
    jobs: tuple[str, ...]


PoolEvent = WorkerStarted | WorkerStopped | WorkerLost


class WorkerInfo(msgspec.Struct, frozen=True):
    """A worker as it is now.

    Attributes:
        number: of the worker.
        pid: of its process.
        ready: whether it has finished importing and serves.
        jobs: names of those it has.
    """

    number: int
    pid: int
    ready: bool
    jobs: tuple[str, ...]
