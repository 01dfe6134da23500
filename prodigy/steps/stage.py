"""What all step lists of one agent share: the ports through which they act, and where the worktree stands."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Protocol

from prodigy.git.changes import Changes, Standing
from prodigy.git.evidence import CommitWish, History, Snapshot
from prodigy.steps.backend import AgentBackend
from prodigy.steps.commands import LeafPlace, Order, Ran
from prodigy.steps.durable import Door
from prodigy.workflow.model import Step, Until


class Commands(Protocol):
    """Runs commands for the agent."""

    async def run(self, order: Order, leaf: LeafPlace) -> Ran:
        """Run to the end, everything it started included; raise ``LeafFailed`` if it cannot be started."""
        ...

    async def detach(self, order: Order, leaf: LeafPlace, until: Until) -> None:
        """Start and leave running until somebody's end; raise ``LeafFailed`` if it cannot be started.

        What an earlier run of the same leaf has left running is not started a second time.
        """
        ...

    def leave(self, leaf: LeafPlace, suffix: str, content: bytes) -> str:
        """Put a file beside the leaf's logs; its absolute path."""
        ...


class Worktree(Protocol):
    """What the interpreter asks git about the agent's worktree."""

    async def snapshot(self) -> Snapshot:
        """HEAD and what is uncommitted."""
        ...

    async def history(self, base: str, head: str) -> History:
        """The commits that lie between."""
        ...

    async def files(self, base: str, head: str) -> tuple[str, ...]:
        """Paths at which two commits differ."""
        ...

    async def differ(self, base: str, head: str) -> bool:
        """Whether two commits differ in any file."""
        ...

    async def changes(self, base: str, head: str | None) -> Changes:
        """What became of which files between two commits, or up to now."""
        ...

    async def standing(self) -> Standing:
        """Branch, commit, staged and untracked files."""
        ...

    async def messages(self, base: str, head: str) -> tuple[str, ...]:
        """Whole messages of the commits between."""
        ...

    async def commit_all(self, message: str, wish: CommitWish) -> str:
        """Commit what is uncommitted; the new HEAD. Raise ``LeafFailed`` where a hook refuses."""
        ...


class Author(Protocol):
    """Words of the commits that Prodigy makes."""

    def message(self, step: Step, command: str) -> str:
        """Workflow, step, item, the command as it ran, and the trailers that name the job."""
        ...


class Oracle(Protocol):
    """Time and chance, for texts that ask for them."""

    def now(self) -> datetime:
        """The time, with its zone."""
        ...

    def uuid(self) -> str:
        """A new random UUID."""
        ...


def forget(_secrets: Mapping[str, str]) -> None:
    """Learn nothing."""


@dataclass
class Stage:
    """The ports of one agent.

    Attributes:
        door: records intents and outcomes.
        commands: runs programs.
        worktree: answers for git.
        author: writes commit messages.
        oracle: tells time and chance.
        folder: absolute path of the worktree.
        logs: absolute path of the attempt's log folder.
        head: the commit that the worktree stands on.
        base: the commit that ``${workflow.commits}`` counts from.
        dirty: whether the last step left changes uncommitted.
        max_capture: bytes of a stream that a capture may hold.
        read_apart: names of which some text of the workflow reads one output stream alone.
        profile: name of the active profile of the environment.
        for_claude: variables that Claude steps get besides, where they do not declare them.
        backend: gives the program behind ``claude:`` steps; made when it is first asked for.
        learn: told secrets that are found on the way, by name, before anything can show them.
    """

    door: Door
    commands: Commands
    worktree: Worktree
    author: Author
    oracle: Oracle
    folder: str
    logs: str
    head: str
    base: str
    backend: Callable[[], AgentBackend]
    dirty: bool = False
    max_capture: int = 10 * 1024 * 1024
    read_apart: frozenset[str] = frozenset()
    profile: str | None = None
    for_claude: Mapping[str, str] = field(default_factory=dict)
    learn: Callable[[Mapping[str, str]], None] = forget
