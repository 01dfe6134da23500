"""Which items start, which are tried again, which are given up: the map phase as a machine.

Pure: ``on(event, at)`` takes what was recorded and when, ``tick(at)`` that time has passed; both return what to do.
Times are seconds on the clock of the records. An item is in exactly one place:

    waiting ──Start──▶ running ──agent_completed──▶ merging ──worktree_merged──▶ settled
       ▲                  │ (no commits: settled)      │    (Resolve: it stays here meanwhile)
    delayed          agent_failed          merge_conflicted, merge_failed, conflict_resolution_failed
       ▲                  ▼                            │
       └─agent_retrying── deciding ◀───────────────────┘
                             └──dlq_item_added, item_skipped──▶ settled

In a retry of dead letters the items are those of the retry, and one that is done leaves the queue (``Unbury``).

While the API turns Claude away, agents that have nothing else to do are *parked*: ``agent_parked`` frees their place for
other items, ``Return`` gives them one again, first parked first and before anybody new starts. As long as the block
lasts nobody returns; when its time is over one does, as a probe. There are as many parked agents as places at most,
since each keeps its worktree.

A place in the window is taken from ``Start`` until the agent's process tree is gone (``agent_completed`` or
``agent_failed``), not until its merge is done, unless items start from the tip. What becomes of a failed item, and when the phase gives up, is said
by ``job.policy``; pauses by ``job.breaker``. A phase that gave up starts nothing more: what waits then stays as it is.
"""

from collections import deque
from collections.abc import Iterable, Iterator
from heapq import heappop, heappush
from typing import Literal, assert_never

from msgspec import Struct

from prodigy import events
from prodigy.events import Failure, HaltReason
from prodigy.job.breaker import Breaker, Close, Decision, GiveUp, Open
from prodigy.job.parking import Parking
from prodigy.job.policy import (
    Again,
    Charges,
    End,
    Halting,
    Resolving,
    Rules,
    after_conflict,
    after_failure,
    ending,
    halting,
)
from prodigy.job.signature import signature_of
from prodigy.job.state import ItemState, JobState


class Start(Struct, frozen=True):
    """Start an attempt, from the commit that the map phase began with or from the tip."""

    item_id: str
    attempt: int
    from_tip: bool = False


class Return(Struct, frozen=True):
    """Record that a parked agent has a place again."""

    item_id: str


class Retry(Struct, frozen=True):
    """Record that the item gets another attempt, ``delay`` seconds from now."""

    item_id: str
    next_attempt: int
    charged_to: Literal["item", "conflict"]
    delay: float = 0.0


class Resolve(Struct, frozen=True):
    """Let Claude resolve the conflict of the item's work with what was merged."""

    item_id: str


class Bury(Struct, frozen=True):
    """Hand the item to the dead letter queue."""

    item_id: str


class Unbury(Struct, frozen=True):
    """Record that the item has left the dead letter queue: it is done."""

    item_id: str


class Skip(Struct, frozen=True):
    """Record that the item is passed over."""

    item_id: str
    reason: str


class Halt(Struct, frozen=True):
    """Record that no more items are started."""

    reason: HaltReason
    message: str


class OpenCircuit(Struct, frozen=True):
    """Record that nothing starts for ``pause`` seconds."""

    failures: int
    opening: int
    pause: float


class CloseCircuit(Struct, frozen=True):
    """Record that items start as before."""


class Drained(Struct, frozen=True):
    """Record that a budget's soft limit left items that are not started any more, and all others have ended."""


class Settle(Struct, frozen=True):
    """Nothing is left to start, to wait for or to decide."""


Command = (
    Start
    | Return
    | Retry
    | Resolve
    | Bury
    | Unbury
    | Skip
    | Halt
    | OpenCircuit
    | CloseCircuit
    | Drained
    | Settle
)


class _Item(Struct):
    attempts: int
    charges: Charges
    trial: bool
    queued: bool
    """Whether the dead letter queue has it."""


class Window:
    """The items of a map phase and where each stands.

    Args:
        rules: the phase's policy.
        state: what is recorded of the run, fresh or taken up again.
    """

    def __init__(self, rules: Rules, state: JobState) -> None:
        self._rules = rules
        self._state = state
        self._breaker = Breaker.of(rules.breaker, state)
        self._items: dict[str, _Item] = {}
        self._waiting: deque[str] = deque()
        self._delayed: list[tuple[float, int, str]] = []
        self._running: set[str] = set()
        self._parking = Parking(state)
        self._merging: set[str] = set()
        self._deciding: set[str] = set()
        self._conflicts: deque[str] = deque()
        """Items of those that are merging which wait for Claude; one conflict is resolved at a time."""
        self._resolving: str | None = None
        self._queued = 0
        self._undecided: list[ItemState] = []
        self._released: list[str] = []
        self._faults: dict[events.ErrorClass, Failure] = {}
        """The first of each class, of failures that count."""
        self._failed = 0
        self._halted = state.halted is not None
        self._settled = False
        self._looked = float("-inf")
        """As of when it was last decided what may start."""
        self._draining = bool(state.money.warned)
        self._alike, self._signature = state.alike, state.alike_signature
        self._total = 0
        for item in items_of(state):
            self._total += 1
            self._place(item, queued=item.item_id in state.dead_letters)

    def _place(self, item: ItemState, *, queued: bool) -> None:
        buried = item.discarded or (queued and not item.history)  # nobody asks about it any more
        if item.status in {"running", "merging"}:
            self._item(item.item_id)
        match item.status:
            case "running" if item.item_id not in self._parking:
                self._running.add(item.item_id)
            case "merging" if item.error is None:
                self._merging.add(item.item_id)
            case "pending" if item.error is None:
                if item.ready_at is None:
                    self._waiting.append(item.item_id)
                else:
                    self._wait(item.item_id, item.ready_at.timestamp())
            case "pending" | "merging" | "failed" if not buried:
                self._item(item.item_id)
                self._undecided.append(item)
            case "done" if queued:
                self._released.append(item.item_id)
            case "failed" | "skipped" if item.error is not None and counts(item) and not item.forgiven:
                self._failed += 1
                self._faults.setdefault(item.error.error_class, item.error)
            case _:
                pass

    def _item(self, item_id: str) -> _Item:
        """What is known of an item that is on its way; of one that waits, or has settled, nothing is kept."""
        known = self._items.get(item_id)
        if known is None:
            item = self._state.items[item_id]
            charges = Charges(item.retries, item.conflicts, item.resolutions, spent=_spent(item))
            queued = item_id in self._state.dead_letters
            known = self._items[item_id] = _Item(item.attempts, charges, item.trial, queued)
        return known

    # -- the machine -------------------------------------------------------------------------------------------------
    def begin(self, at: float) -> list[Command]:
        """The first commands, before any event: what a crash left undecided, then what may start."""
        commands: list[Command] = []
        for item in self._undecided:
            assert item.error is not None, "an item without an error needs no decision"
            commands += self._decide(item.item_id, item.error, merged=item.status == "merging")
        self._undecided.clear()
        for item_id in self._released:
            commands += self._release(item_id)
        commands += self._halt_alike()
        reasons = (halting(self._rules, self._failed, self._total, fault) for fault in self._faults.values())
        why = next(filter(None, reasons), None)
        commands += self._halt(why) if why is not None else self._circuit(self._breaker.overdue())
        return [*commands, *self._fill(at)]

    def tick(self, at: float) -> list[Command]:
        """What follows from the time alone."""
        return self._fill(at)

    @property
    def wakes_at(self) -> float | None:
        """When something may start although nothing happens; ``None`` if only events matter.

        It may be past by now: a record is heard some time after it was written.
        """
        times = [self._parking.wakes_at]
        if not self._stopped:
            times += [self._breaker.paused_until, self._delayed[0][0] if self._delayed else None]
        return min((time for time in times if time is not None and time > self._looked), default=None)

    def on(self, event: events.AnyEvent, at: float) -> list[Command]:
        """What follows from a record of time ``at``."""
        match event:
            case events.AgentStarted():
                item = self._item(event.item_id)
                item.attempts, item.trial = event.attempt, self._breaker.testing
            case events.AgentParked() | events.QuotaBlocked() | events.QuotaCleared():
                self._waits_for_quota(event)
            case events.AgentRetrying():
                self._deciding.discard(event.item_id)
                self._left(event.item_id)  # if it was interrupted
                self._item(event.item_id).charges.spent += event.backoff_ms / 1000
                self._wait(event.item_id, at + event.backoff_ms / 1000)
            case (
                events.DlqItemAdded()
                | events.DlqItemUpdated()
                | events.DlqItemRemoved()
                | events.ItemSkipped()
            ):
                self._deciding.discard(event.item_id)
            case events.MapHalted():
                self._deciding.discard(_PHASE)
            case events.CircuitOpened():
                self._breaker.opened(event.opening, at + event.pause_ms / 1000)
            case events.CircuitClosed():
                self._breaker.closed()
            case events.BudgetWarned():
                self._draining = True
            case _:
                return [*self._ended(event), *self._fill(at)]
        return self._fill(at)

    def _waits_for_quota(self, event: events.AgentParked | events.QuotaBlocked | events.QuotaCleared) -> None:
        lane = (event.account, event.model)
        match event:
            case events.AgentParked():
                self._running.discard(event.item_id)
                self._parking.parked(event.item_id, lane)
            case events.QuotaBlocked():
                self._parking.blocked(lane, event.until.timestamp())
            case events.QuotaCleared():
                self._parking.cleared(lane)

    # -- how attempts end ----------------------------------------------------------------------------------------------
    def _ended(self, event: events.AnyEvent) -> list[Command]:
        """What follows from the end of an attempt, or of its merge; nothing from any other event."""
        match event:
            case events.AgentCompleted():
                return self._completed(event)
            case events.AgentFailed():
                return self._attempt_failed(event)
            case (
                events.WorktreeMerged(what="agent", item_id=str(item_id))
                | events.MergeConflicted(what="agent", item_id=str(item_id))
                | events.MergeFailed(what="agent", item_id=str(item_id))
                | events.ConflictResolutionFailed(what="agent", item_id=str(item_id))
            ):
                return self._merge_ended(item_id, event)
            case _:
                return []

    def _merge_ended(
        self,
        item_id: str,
        event: events.WorktreeMerged
        | events.MergeConflicted
        | events.MergeFailed
        | events.ConflictResolutionFailed,
    ) -> list[Command]:
        if self._resolving == item_id:
            self._resolving = None
        charges = self._item(item_id).charges
        match event:
            case events.WorktreeMerged():
                self._merging.discard(item_id)
                return self._done(item_id)
            case events.MergeConflicted():
                charges.conflicts += 1
                message = f"merge conflict in {', '.join(event.paths)}"
                error = Failure(error_class="merge-conflict", message=message)
            case events.ConflictResolutionFailed():
                charges.resolutions += 1
                error = event.error
            case events.MergeFailed():
                error = Failure(error_class=event.error_class, message=event.message)
            case _:
                assert_never(event)
        return self._decide(item_id, error, merged=True)

    def _left(self, item_id: str) -> None:
        """An agent is gone, wherever it was."""
        self._running.discard(item_id)
        self._parking.left(item_id)

    def _completed(self, event: events.AgentCompleted) -> list[Command]:
        self._left(event.item_id)
        self._item(event.item_id).charges.spent += event.duration_ms / 1000
        if event.commits:
            self._merging.add(event.item_id)
            return []
        return self._done(event.item_id)

    def _done(self, item_id: str) -> list[Command]:
        self._alike = 0
        item = self._item(item_id)
        released = self._release(item_id) if item.queued else []
        self._items.pop(item_id, None)
        return released + self._circuit(self._breaker.settled("done", trial=item.trial))

    def _release(self, item_id: str) -> list[Command]:
        self._deciding.add(item_id)
        return [Unbury(item_id)]

    def _attempt_failed(self, event: events.AgentFailed) -> list[Command]:
        self._left(event.item_id)
        item = self._item(event.item_id)
        item.attempts = event.attempt
        item.charges.spent += event.duration_ms / 1000
        return self._decide(event.item_id, event.error)

    # -- what becomes of a failed item -------------------------------------------------------------------------------
    def _decide(self, item_id: str, failure: Failure, *, merged: bool = False) -> list[Command]:
        item = self._item(item_id)
        self._merging.discard(item_id)
        self._deciding.add(item_id)
        fate: Resolving | Again | End
        if failure.error_class == "merge-conflict":
            fate = after_conflict(self._rules, item.charges, failure)
        elif merged:
            fate = ending(self._rules, failure)
        else:
            fate = after_failure(self._rules, item_id, item.charges, failure)
        if isinstance(fate, Resolving):
            self._deciding.discard(item_id)
            self._merging.add(item_id)
            self._conflicts.append(item_id)
            return []
        if not isinstance(fate, Again):
            return self._given_up(item_id, fate, failure)
        item.charges.retries += fate.charged_to == "item"
        return [Retry(item_id, item.attempts + 1, fate.charged_to, fate.delay)]

    def _given_up(self, item_id: str, fate: End, failure: Failure) -> list[Command]:
        """Put the item where it goes, and see what its failure means for the others."""
        trial = self._item(item_id).trial
        self._items.pop(item_id, None)
        commands: list[Command] = [Bury(item_id) if fate == "dlq" else Skip(item_id, failure.message)]
        if fate == "dlq":
            signature = signature_of(failure)
            self._alike = self._alike + 1 if signature == self._signature else 1
            self._signature = signature
        invalid = failure.error_class == "invalid-item"
        if invalid and fate == "skip":
            return commands  # it is passed over as the workflow foresaw
        self._failed += 1
        why = halting(self._rules, self._failed, self._total, failure)
        if why is not None:
            return commands + self._halt(why)
        if invalid:
            return commands
        commands += self._halt_alike()
        return commands + self._circuit(self._breaker.settled("failed", trial=trial))

    def _halt_alike(self) -> list[Command]:
        """Give up when items go on failing in one and the same way, and there are others to be spared that."""
        if (
            self._rules.alike is None
            or self._alike < self._rules.alike
            or not (self._waiting or self._delayed)
        ):
            return []
        message = f"{self._alike} items in a row failed alike (signature {self._signature})"
        return self._halt(Halting("signature", message))

    def _circuit(self, decision: Decision | None) -> list[Command]:
        match decision:
            case Open(failures, opening, pause):
                return [] if self._halted else [OpenCircuit(failures, opening, pause)]
            case Close():
                return [] if self._halted else [CloseCircuit()]
            case GiveUp():
                message = "Items went on failing after each pause of the circuit breaker"
                return self._halt(Halting("circuit", message))
            case None:
                return []

    def _halt(self, why: Halting) -> list[Command]:
        """Start nothing from now on; settled only when that is recorded."""
        if self._halted:
            return []
        self._halted = True
        self._deciding.add(_PHASE)
        return [Halt(why.reason, why.message)]

    # -- what starts ---------------------------------------------------------------------------------------------------
    def _wait(self, item_id: str, ready_at: float) -> None:
        self._queued += 1
        heappush(self._delayed, (ready_at, self._queued, item_id))

    def _fill(self, at: float) -> list[Command]:
        """Start what fits; settle when nothing is left anywhere."""
        self._looked = at
        while self._delayed and self._delayed[0][0] <= at:
            self._waiting.append(heappop(self._delayed)[2])
        commands: list[Command] = []
        if self._resolving is None and self._conflicts:
            self._resolving = self._conflicts.popleft()
            commands.append(Resolve(self._resolving))
        while self._busy() < self._rules.max_parallel:
            returning = self._parking.next(at)
            if returning is None:
                break
            self._running.add(returning)
            commands.append(Return(returning))
        testing = self._breaker.testing
        trials = sum(self._item(item_id).trial for item_id in self._running) if testing else 0
        while not self._stopped and self._waiting and self._has_room():
            if self._breaker.room(trials, at) < 1:
                break
            commands.append(self._start(self._waiting.popleft()))
            trials += testing
        if not (self._settled or self._running or self._parking or self._merging or self._deciding):
            left = (self._waiting or self._delayed) and not self._halted
            self._settled = self._draining or not left
            if self._settled:
                commands.append(Drained() if left else Settle())
        return commands

    @property
    def _stopped(self) -> bool:
        """Whether no more items are started."""
        return self._halted or self._draining

    def _has_room(self) -> bool:
        """Whether another item may start: there is a place, and not too many worktrees wait with their agents."""
        parallel = self._rules.max_parallel
        return self._busy() < parallel and len(self._running) + len(self._parking) < 2 * parallel

    def _busy(self) -> int:
        """How many places are taken; work that others are to start from takes one until it is merged."""
        return len(self._running) + (len(self._merging) if self._rules.from_tip else 0)

    def _start(self, item_id: str) -> Start:
        item = self._item(item_id)
        self._running.add(item_id)
        item.trial = self._breaker.testing
        return Start(item_id, item.attempts + 1, self._rules.from_tip or item.charges.conflicts > 0)


_PHASE = ""
"""Stands among the items that wait for a decision to be recorded when it is the phase itself that waits."""


def _spent(item: ItemState) -> float:
    return (item.duration_ms + item.waited_ms - item.forgiven_ms) / 1000


def items_of(state: JobState) -> Iterator[ItemState]:
    """What the map phase is about: all items, or in a retry those of it, which are recorded by index."""
    if state.retry is None:
        return iter(state.items.values())
    return (state.items[item_id] for item_id in state.retry.items)


def counts(item: ItemState) -> bool:
    """Whether a failed or skipped item counts as failed: those that were skipped because they are not valid do not."""
    if item.status == "skipped":
        return item.error is not None and item.error.error_class != "invalid-item"
    return item.status == "failed"


def failed_everything(items: Iterable[ItemState]) -> bool:
    """Whether there were items to work at, and every one failed for good."""
    ends = [counts(item) for item in items if item.status != "skipped" or counts(item)]
    return bool(ends) and all(ends)
