"""What can go wrong with processes, as types that say who is at fault.

::

    ProcessError
    ├── SpawnFailed      the command: it could not be started; nothing of it ran
    ├── SlotLost         the surroundings: the reaper of a process tree was killed; the tree is dead, its exit unknown
    ├── JobFailed        the job: it raised, in its worker; what it raised came over as data
    ├── HostLost         the worker: it died, hung or spoke nonsense; its jobs and their process trees are dead
    ├── PoolBroken       the pool: it lost workers faster than it may replace them, or it is not running
    └── FrameError       the wire: bytes that are no frame, or a frame that is no message
        └── FrameTooLarge

Each of them pickles and compares by its arguments, and none needs the process it speaks of to be alive.
"""

from supervisors.wire import ErrorInfo


class ProcessError(Exception):
    """Something went wrong with a process, a process tree, or between processes."""


class SpawnFailed(ProcessError):
    """A command could not be started, so nothing of it ran.

    Args:
        errno: why, as in ``errno``: ``ENOENT``, ``EACCES``, ``E2BIG``, ``EAGAIN``, …
        message: the same in words, naming the file where one is at fault.
    """

    def __init__(self, errno: int, message: str) -> None:
        super().__init__(errno, message)
        self.errno = errno
        self.message = message

    def __str__(self) -> str:
        """The message alone."""
        return self.message


class SlotLost(ProcessError):
    """The reaper of a slot died or stopped answering; the process tree is dead and how it ended is unknown."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class JobFailed(ProcessError):
    """A job raised an exception in its worker.

    Args:
        error: type, message and traceback of what was raised.
    """

    def __init__(self, error: ErrorInfo) -> None:
        super().__init__(error)
        self.error = error

    def __str__(self) -> str:
        """Type and message of the original."""
        return f"{self.error.type}: {self.error.message}"


class HostLost(ProcessError):
    """A worker is gone and took its jobs along; nothing of their process trees is alive.

    Args:
        worker: its number in the pool.
        reason: what happened to it, as a phrase: ``"killed by SIGKILL"``, ``"no heartbeat for 10 s"``.
    """

    def __init__(self, worker: int, reason: str) -> None:
        super().__init__(worker, reason)
        self.worker = worker
        self.reason = reason

    def __str__(self) -> str:
        """Which worker, and why."""
        return f"worker {self.worker} lost: {self.reason}"


class PoolBroken(ProcessError):
    """The pool cannot run jobs: too many workers were lost in too short a time, or it is not open."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class FrameError(ProcessError):
    """Bytes that are no frame, or a frame whose content is no message of the kind expected."""


class FrameTooLarge(FrameError):
    """A frame is longer than the limit, in the direction of sending or of receiving.

    Args:
        size: bytes of its content.
        limit: bytes allowed.
    """

    def __init__(self, size: int, limit: int) -> None:
        super().__init__(size, limit)
        self.size = size
        self.limit = limit

    def __str__(self) -> str:
        """Both figures."""
        return f"a frame of {self.size} bytes is over the limit of {self.limit}"
