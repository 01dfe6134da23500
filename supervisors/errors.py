"""What can go wrong between actors, as types.

::

    SupervisionError
    ├── ActorGone                  the actor will not answer any more; catch this one
    │   ├── ActorDied              it crashed or was killed before it answered
    │   └── ActorStopped           it finished or was stopped before, or was down for good already
    ├── AskTimeout                 no answer before the deadline (also a TimeoutError)
    ├── MailboxFull                the mailbox refuses what it has no room for
    ├── AlreadyAnswered            a reply was sent twice
    ├── StartFailed                a child's first start failed; the cause is chained
    ├── DuplicateChild             the id is taken
    ├── UnknownChild               no child has the id
    └── RestartIntensityExceeded   a supervisor gave up; the last crash is chained
"""

# ruff: noqa: A002 - "id" is the word of the field

from supervisors.signals import Reason


class SupervisionError(Exception):
    """The root of everything this library raises about actors."""


class ActorGone(SupervisionError):
    """The actor ``id`` ended for ``reason`` and will not answer."""

    def __init__(self, id: str, reason: Reason) -> None:
        super().__init__(id, reason)
        self.id = id
        self.reason = reason

    def __str__(self) -> str:
        return f"actor {self.id!r} is gone: {self.reason}"


class ActorDied(ActorGone):
    """The actor crashed, or was killed, before it answered."""


class ActorStopped(ActorGone):
    """The actor finished or was stopped before it answered, or was down for good when it was told or asked."""


class AskTimeout(SupervisionError, TimeoutError):
    """The actor ``id`` did not answer within ``seconds``."""

    def __init__(self, id: str, seconds: float) -> None:
        super().__init__(id, seconds)
        self.id = id
        self.seconds = seconds

    def __str__(self) -> str:
        return f"actor {self.id!r} did not answer within {self.seconds:g} s"


class MailboxFull(SupervisionError):
    """The mailbox of ``id`` already holds ``capacity`` messages."""

    def __init__(self, id: str, capacity: int) -> None:
        super().__init__(id, capacity)
        self.id = id
        self.capacity = capacity

    def __str__(self) -> str:
        return f"mailbox of actor {self.id!r} is full ({self.capacity} messages)"


class AlreadyAnswered(SupervisionError):
    """The reply was already sent or failed; a question has one answer."""


class StartFailed(SupervisionError):
    """The child ``id`` did not come up; ``__cause__`` says why."""

    def __init__(self, id: str) -> None:
        super().__init__(id)
        self.id = id

    def __str__(self) -> str:
        return f"child {self.id!r} failed to start"


class DuplicateChild(SupervisionError):
    """The supervisor already has a child ``id``."""

    def __init__(self, id: str) -> None:
        super().__init__(id)
        self.id = id

    def __str__(self) -> str:
        return f"a child {self.id!r} exists already"


class UnknownChild(SupervisionError):
    """The supervisor has no child ``id``."""

    def __init__(self, id: str) -> None:
        super().__init__(id)
        self.id = id

    def __str__(self) -> str:
        return f"there is no child {self.id!r}"


class RestartIntensityExceeded(SupervisionError):
    """Supervisor ``id`` gave up: ``child`` came down when ``restarts`` restarts within ``period`` s were used up."""

    def __init__(self, id: str, child: str, restarts: int, period: float) -> None:
        super().__init__(id, child, restarts, period)
        self.id = id
        self.child = child
        self.restarts = restarts
        self.period = period

    def __str__(self) -> str:
        return (
            f"supervisor {self.id!r} gave up on child {self.child!r}: "
            f"more than {self.restarts} restarts within {self.period:g} s"
        )
