"""Which items start, which are tried again, which are buried: the map phase as a machine.

Pure: ``on(event)`` takes what was recorded and returns what to do. An item is in exactly one place:

    waiting ──Start──▶ running ──agent_completed──▶ merging ──worktree_merged──▶ settled
       ▲                  │ (no commits: settled)      │
       │            agent_failed                merge_conflicted
       └─agent_retrying── deciding ◀───────────────────┘
                             └──dlq_item_added──▶ settled

A place in the window is taken from ``Start`` until the agent's process tree is gone (``agent_completed`` or
``agent_failed``), not until its merge is done. Lost hosts are not the item's fault: they are charged apart, up to
``HOST_LOSSES``. A conflict makes the item run once more, from the branch's tip.
"""

from collections import deque
from collections.abc import Iterable
from typing import Literal

from msgspec import Struct

from prodigy import events
from prodigy.job.state import ItemState, JobState

HOST_LOSSES = 3
"""How often an item may lose its host before it is buried."""
CONFLICT_RERUNS = 1
"""How often an item is run again because its work collided with what was merged meanwhile."""


class Start(Struct, frozen=True):
    """Start an attempt, from the commit that the map phase began with or from the tip."""

    item_id: str
    attempt: int
    from_tip: bool = False


class Retry(Struct, frozen=True):
    """Record that the item gets another attempt."""

    item_id: str
    next_attempt: int
    charged_to: Literal["item", "host_lost"]


class Bury(Struct, frozen=True):
    """Hand the item to the dead letter queue."""

    item_id: str


class Settle(Struct, frozen=True):
    """Nothing is left to start, to wait for or to decide."""


Command = Start | Retry | Bury | Settle


class _Item(Struct):
    attempts: int = 0
    host_losses: int = 0
    conflicts: int = 0


class Window:
    """The items of a map phase and where each stands.

    Args:
        items: the selected items in order, as the state has them.
        buried: ids of items that are in the dead letter queue.
        max_parallel: how many agents may run at a time, at least 1.
    """

    def __init__(self, items: Iterable[ItemState], buried: Iterable[str], max_parallel: int) -> None:
        self._items: dict[str, _Item] = {}
        self._waiting: deque[str] = deque()
        self._running: set[str] = set()
        self._merging: set[str] = set()
        self._deciding: set[str] = set()
        self._settled = False
        self.max_parallel = max_parallel
        self._undecided: list[str] = []
        gone = set(buried)
        for item in items:
            self._place(item, buried=item.item_id in gone)

    @classmethod
    def of(cls, state: JobState, max_parallel: int) -> "Window":
        """The window of a run as its state stands, fresh or taken up again."""
        return cls(state.items.values(), state.dead_letters, max_parallel)

    def _place(self, item: ItemState, *, buried: bool) -> None:
        self._items[item.item_id] = _Item(item.attempts, item.host_losses, item.conflicts)
        match item.status:
            case "running":
                self._running.add(item.item_id)
            case "merging":
                self._merging.add(item.item_id)
            case "pending" if item.error is None:
                self._waiting.append(item.item_id)
            case "pending" | "failed" if not buried:
                self._undecided.append(item.item_id)
            case _:
                pass

    # -- the machine -------------------------------------------------------------------------------------------------
    def begin(self) -> list[Command]:
        """The first commands, before any event."""
        commands: list[Command] = []
        for item_id in self._undecided:
            self._deciding.add(item_id)
            commands.append(Bury(item_id))
        self._undecided.clear()
        return [*commands, *self._fill()]

    def on(self, event: events.AnyEvent) -> list[Command]:
        """What follows from a recorded event."""
        decided: list[Command] = []
        match event:
            case events.AgentStarted():
                self._items[event.item_id].attempts = event.attempt
            case events.AgentCompleted():
                self._running.discard(event.item_id)
                if event.commits:
                    self._merging.add(event.item_id)
            case events.AgentFailed():
                self._running.discard(event.item_id)
                self._merging.discard(event.item_id)
                self._items[event.item_id].attempts = event.attempt
                decided = [self._after_failure(event)]
            case events.WorktreeMerged(what="agent", item_id=str(item_id)):
                self._merging.discard(item_id)
            case events.MergeConflicted(what="agent", item_id=str(item_id)):
                decided = [self._after_conflict(item_id)]
            case events.MergeFailed(what="agent", item_id=str(item_id)):
                self._merging.discard(item_id)
                self._deciding.add(item_id)
                decided = [Bury(item_id)]
            case events.AgentRetrying():
                self._deciding.discard(event.item_id)
                self._waiting.append(event.item_id)
            case events.DlqItemAdded():
                self._deciding.discard(event.item_id)
            case _:
                return []
        return [*decided, *self._fill()]

    def _after_failure(self, event: events.AgentFailed) -> Command:
        item = self._items[event.item_id]
        self._deciding.add(event.item_id)
        if event.error.error_class == "host-lost" and item.host_losses < HOST_LOSSES:
            item.host_losses += 1
            return Retry(event.item_id, item.attempts + 1, "host_lost")
        return Bury(event.item_id)

    def _after_conflict(self, item_id: str) -> Command:
        item = self._items[item_id]
        item.conflicts += 1
        self._merging.discard(item_id)
        self._deciding.add(item_id)
        if item.conflicts <= CONFLICT_RERUNS:
            return Retry(item_id, item.attempts + 1, "item")
        return Bury(item_id)

    def _fill(self) -> list[Command]:
        """Start what fits; settle when nothing is left anywhere."""
        commands: list[Command] = []
        while self._waiting and len(self._running) < self.max_parallel:
            item_id = self._waiting.popleft()
            item = self._items[item_id]
            self._running.add(item_id)
            commands.append(Start(item_id, item.attempts + 1, from_tip=item.conflicts > 0))
        if not (self._settled or self._waiting or self._running or self._merging or self._deciding):
            self._settled = True
            commands.append(Settle())
        return commands
