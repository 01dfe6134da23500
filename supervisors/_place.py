"""The place of an actor in the tree: what stays when its incarnations come and go.

A place has the mailbox, the open questions, the monitors and the figures of one child spec. It exists before the
first start, so refs to it can be handed around while the tree is being wired. It is *closed* when its actor is down
for good, and opened again should the same spec be started once more.
"""

# ruff: noqa: A002 - "id" is the word of the field

import math
from collections.abc import Callable
from typing import Any, Generic, TypeAlias, TypeVar

import trio

from supervisors._mailbox import Mailbox
from supervisors._reply import Question
from supervisors.errors import ActorDied, ActorStopped
from supervisors.signals import Crashed, Down, Killed, Node, Path, Reason, State, Stopped, TreeEvent
from supervisors.specs import Overflow

M = TypeVar("M")
Listener: TypeAlias = Callable[[TreeEvent], None]


def unheard(_: TreeEvent) -> None:
    """Tell nobody: the listener of a place that is in no tree."""


class Place(Generic[M]):
    """One actor's place, known by ``id`` among its siblings and by ``path`` in the tree."""

    __slots__ = (
        "_down", "_monitors", "_questions", "children", "id", "kind", "last_error", "lives", "mailbox", "path",
        "state", "stop", "tell_listener",
    )  # fmt: skip

    def __init__(self, id: str, capacity: int, overflow: Overflow) -> None:
        self.id = id
        self.path: Path = (id,)
        self.kind = "Actor"
        self.state = State.STOPPED
        self.lives = 0
        self.last_error: str | None = None
        self.mailbox: Mailbox[M] = Mailbox(id, capacity, overflow)
        self.children: dict[str, Place[Any]] = {}
        self.stop: Callable[[], None] | None = None
        self.tell_listener: Listener = unheard
        self._questions: dict[Question[Any], M] = {}
        self._monitors: set[trio.MemorySendChannel[Down]] = set()
        self._down: Down | None = None  # the last end so far

    @property
    def restarts(self) -> int:
        """How many incarnations there were after the first."""
        return max(0, self.lives - 1)

    def node(self) -> Node:
        """This actor and all below it, as they stand."""
        return Node(
            id=self.id,
            kind=self.kind,
            state=self.state,
            restarts=self.restarts,
            mailbox=len(self.mailbox),
            last_error=self.last_error,
            children=tuple(child.node() for child in self.children.values()),
        )

    # From one incarnation to the next

    def join(self, parent: "Place[Any]") -> None:
        """Belong to ``parent`` from now on; a running actor has its place already."""
        if self.state is not State.STOPPED:
            raise RuntimeError(f"actor {self.id!r} runs already, as {'/'.join(self.path)}")
        self.path = (*parent.path, self.id)
        self.tell_listener = parent.tell_listener

    def begin(self, stop: Callable[[], None]) -> None:
        """A new incarnation begins; ``stop`` asks it to stop."""
        self.state = State.RESTARTING if self.lives else State.STARTING
        self.lives += 1
        self.stop = stop
        self.mailbox.begin()

    def ended(self, reason: Reason) -> None:
        """An incarnation ended: answer who waits for it, tell who watches it. Plain messages stay queued."""
        self.state = State.STOPPED
        self.stop = None
        if isinstance(reason, Crashed):
            self.last_error = str(reason)
        self._fail_questions(reason)
        self._down = Down(self.id, reason)
        for monitor in self._monitors:
            monitor.send_nowait(self._down)

    def close(self) -> None:
        """The actor, and so every actor below it, is down for good."""
        for child in self.children.values():
            child.close()
        reason = self.last_down().reason
        self._fail_questions(reason)
        self.mailbox.close(reason)
        while self._monitors:
            self._monitors.pop().close()

    def last_down(self) -> Down:
        """The last end so far; of one that never lived, that it was stopped."""
        return self._down or Down(self.id, Stopped())

    # Questions

    async def answer_to(self, question: Question[Any], message: M) -> None:
        """Wait until ``question``, which ``message`` in the mailbox carries, is settled, here or by the actor."""
        self._questions[question] = message
        try:
            await question.settled()
        finally:
            del self._questions[question]

    def _fail_questions(self, reason: Reason) -> None:
        if not self._questions:
            return
        kind = ActorDied if isinstance(reason, Crashed | Killed) else ActorStopped
        for question in self._questions:
            question.abandon(kind(self.id, reason))
        self.mailbox.drop(self._questions.values())

    # Monitors

    def watch(self) -> tuple[trio.MemorySendChannel[Down], trio.MemoryReceiveChannel[Down]]:
        """A channel of the actor's ends; when it is down for good already, of the last one only."""
        send, receive = trio.open_memory_channel[Down](math.inf)
        if self.mailbox.gone is None:
            self._monitors.add(send)
        else:
            send.send_nowait(self.last_down())
            send.close()
        return send, receive

    def unwatch(self, send: trio.MemorySendChannel[Down]) -> None:
        """Nobody listens to this channel any more."""
        self._monitors.discard(send)
