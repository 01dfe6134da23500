"""How a pool of workers is set: the options of ``WorkerPool`` and their defaults."""

from typing import TypedDict

import msgspec


class PoolSettings(msgspec.Struct, frozen=True, kw_only=True):
    """How a pool is to be.

    Attributes:
        size: workers at most; the first is started at once, the others when they are needed.
        jobs_per_worker: a further worker is started when every other has so many jobs.
        cancel_grace: seconds between SIGTERM and SIGKILL for the process trees of a cancelled job.
        heartbeat_interval: seconds between two beats.
        heartbeat_limit: seconds without an answer after which a worker is taken for hung.
        start_limit: seconds that a worker has for its imports.
        losses: workers that may be lost within ``loss_period`` seconds; one more breaks the pool.
        loss_period: see ``losses``.
        recycle_after: a worker that was given so many jobs gets no more and ends with its last; ``None``: never.
        idle_limit: seconds without a job after which a worker is ended, unless it is the last; ``None``: never.
        hold_fds: descriptors that workers and reapers keep open until all process trees are dead.
        env: environment of the workers; ours by default.
    """

    size: int = 1
    jobs_per_worker: int = 8
    cancel_grace: float = 5.0
    heartbeat_interval: float = 1.0
    heartbeat_limit: float = 15.0
    start_limit: float = 120.0
    losses: int = 5
    loss_period: float = 30.0
    recycle_after: int | None = None
    idle_limit: float | None = None
    hold_fds: tuple[int, ...] = ()
    env: dict[str, str] | None = None


class PoolOptions(TypedDict, total=False):
    """The fields of ``PoolSettings`` as keyword arguments."""

    size: int
    jobs_per_worker: int
    cancel_grace: float
    heartbeat_interval: float
    heartbeat_limit: float
    start_limit: float
    losses: int
    loss_period: float
    recycle_after: int | None
    idle_limit: float | None
    hold_fds: tuple[int, ...]
    env: dict[str, str] | None
