"""What coordinator and worker say to each other: tagged structs, one frame each.

Rules: fields are only ever added, with defaults. A worker says nothing of a job after its outcome. Content that belongs to
the application (jobs, messages, answers, results) travels as ``Raw`` inside and is decoded by the types that the
application declared.

::

    coordinator                          worker
                          ◀── Ready      programs are loaded, the loop runs
    StartJob ──▶
                          ◀── Told       a message; no answer
    Credit ──▶                           so many bytes of it have been dealt with
                          ◀── Asked      a message that waits for …
    Answered ──▶
    CancelJob ──▶                        again with grace 0: hurry
                          ◀── JobFinished | JobRaised | JobCancelled
                          ◀── Keeping    so many things go on that no job waits for
    StopWorker ──▶                       cancel what runs, end what lasts, then exit
                          ◀── WorkerFailed   its last words
"""

import msgspec


class ErrorInfo(msgspec.Struct, frozen=True):
    """An exception as data.

    Attributes:
        type: qualified name of its class, e.g. ``"ValueError"``, ``"package.module.Error"``.
        message: its text.
        traceback: formatted as Python prints it, causes included.
    """

    type: str
    message: str
    traceback: str = ""


# Downward ----------------------------------------------------------------------------------------------------------


class StartJob(msgspec.Struct, frozen=True, tag="start"):
    """Run a job.

    Attributes:
        job: its number, unique in the life of the pool.
        content: the application's job.
    """

    job: int
    content: msgspec.Raw


class CancelJob(msgspec.Struct, frozen=True, tag="cancel"):
    """Cancel a job; its process trees have ``grace`` seconds between SIGTERM and SIGKILL."""

    job: int
    grace: float


class Answered(msgspec.Struct, frozen=True, tag="answer"):
    """The answer to an ``Asked``."""

    job: int
    ask: int
    content: msgspec.Raw


class Credit(msgspec.Struct, frozen=True, tag="credit"):
    """The coordinator has dealt with so many bytes of a job's messages."""

    job: int
    size: int


class StopWorker(msgspec.Struct, frozen=True, tag="stop"):
    """Cancel every job with this grace, end what lasts, take no new jobs, exit when nothing is left."""

    grace: float


Downward = StartJob | CancelJob | Answered | Credit | StopWorker

# Upward ------------------------------------------------------------------------------------------------------------


class Ready(msgspec.Struct, frozen=True, tag="ready"):
    """The worker has loaded its program and serves."""


class Told(msgspec.Struct, frozen=True, tag="tell"):
    """A message of a job that wants no answer."""

    job: int
    content: msgspec.Raw


class Asked(msgspec.Struct, frozen=True, tag="ask"):
    """A message of a job that waits for ``Answered`` with the same ``ask`` number."""

    job: int
    ask: int
    content: msgspec.Raw


class JobFinished(msgspec.Struct, frozen=True, tag="finished"):
    """A job returned."""

    job: int
    content: msgspec.Raw


class JobRaised(msgspec.Struct, frozen=True, tag="raised"):
    """A job raised."""

    job: int
    error: ErrorInfo


class JobCancelled(msgspec.Struct, frozen=True, tag="cancelled"):
    """A job ended because it was cancelled."""

    job: int


class Keeping(msgspec.Struct, frozen=True, tag="keeping"):
    """So many things that jobs have started go on without them."""

    count: int


class WorkerFailed(msgspec.Struct, frozen=True, tag="failed"):
    """The worker cannot go on; it exits after this."""

    error: ErrorInfo


Upward = Ready | Told | Asked | JobFinished | JobRaised | JobCancelled | WorkerFailed | Keeping
