"""What can go wrong, as types that say who is at fault.

::

    ProdigyError
    ├── UsageError       the command line: unknown verb, unknown id, confirmation missing     exit 2
    ├── WorkflowError    a file of the user: syntax, unknown keys, undefined variables         exit 2
    ├── MachineError     the surroundings: no repository, no commit, disk, permissions        exit 2
    ├── RunError         the run: a step failed, a merge conflicted, another process holds it exit 1
    └── InternalError    Prodigy itself                                                       exit 3

Rules: an error has a *code* (stable, kebab-case, what scripts rely on), a *message* (one sentence, no full stop),
and where it helps a *where* (``file:line:column`` or a path), a *note* and a *hint* (what to type next).
"""

from typing import ClassVar


class ProdigyError(Exception):
    """A failure that can be explained to the user.

    Args:
        code: stable kebab-case name, e.g. ``"workflow-not-found"``.
        message: one sentence without a full stop.
        where: ``file:line:column``, a path, or ``None``.
        note: background that does not ask for action.
        hint: what to do or type next.
    """

    exit_code: ClassVar[int] = 1

    def __init__(
        self,
        code: str,
        message: str,
        *,
        where: str | None = None,
        note: str | None = None,
        hint: str | None = None,
    ) -> None:
        super().__init__(code, message)
        self.code = code
        self.message = message
        self.where = where
        self.note = note
        self.hint = hint

    def __str__(self) -> str:
        """Code and message on one line, for logs and tests."""
        place = f" ({self.where})" if self.where else ""
        return f"{self.code}: {self.message}{place}"


class UsageError(ProdigyError):
    """The command line asks for something that does not exist or cannot be done as asked."""

    exit_code = 2


class WorkflowError(ProdigyError):
    """The workflow file cannot be run as it is written."""

    exit_code = 2


class MachineError(ProdigyError):
    """The machine, the repository or the disk does not offer what the command needs."""

    exit_code = 2


class RunError(ProdigyError):
    """The run, or what was asked of it, failed."""


class InternalError(ProdigyError):
    """A bug in Prodigy."""

    exit_code = 3
