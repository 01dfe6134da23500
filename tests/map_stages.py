"""A map phase played by itself: the window's commands are carried out as records, on a clock that nobody waits for."""

from collections import Counter
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from random import Random
from typing import Any
from uuid import UUID

from shelves import resting

from prodigy import events
from prodigy.events import AnyEvent, Failure, Record
from prodigy.job.fold import apply, fold
from prodigy.job.letters import failure_of
from prodigy.job.policy import Rules, retry_rules
from prodigy.job.retrying import reprocessed
from prodigy.job.signature import signature_of
from prodigy.job.state import JobState
from prodigy.job.window import (
    Bury,
    CloseCircuit,
    Command,
    Halt,
    OpenCircuit,
    Retry,
    Settle,
    Skip,
    Start,
    Unbury,
    Window,
)

BEGINNING = datetime(2026, 11, 22, 8, 0, tzinfo=UTC)
FAILURES = {
    "failed": Failure(
        error_class="command-failed",
        message="exited with 1",
        exit_code=1,
        stderr_tail="boom",
        logs=("/l/01.err",),
    ),
    "timeout": Failure(error_class="timeout", message="over 5 s", limit="5 s"),
    "lost": Failure(error_class="host-lost", message="gone"),
}
UNSTARTED = Failure(error_class="worktree-error", message="locked")

Outcome = str
"""``nothing``, ``merged``, ``conflict``, ``unmergeable``, ``unstarted``: there was no worktree for it; or a key of
``FAILURES``."""
Script = Callable[[str, int], Outcome]
"""The outcome of an item's attempt."""


class Stage:
    """One map phase over ``count`` items.

    Args:
        rules: its policy.
        count: how many items.
        script: what comes of each attempt.
        invalid: indexes of items that are not valid.
    """

    def __init__(self, rules: Rules, count: int, script: Script, invalid: tuple[int, ...] = ()) -> None:
        self.rules = rules
        self.script = script
        self.invalid = {f"i{index}" for index in invalid}
        self.now = BEGINNING
        self.records: list[Record] = []
        self.state = resting()
        self.pending: list[Any] = []
        self.running: dict[str, int] = {}
        self.merging: dict[str, Outcome] = {}
        self.started: list[tuple[str, int, float, bool]] = []
        """Item, attempt, time since the beginning, whether from the tip."""
        self.ends = 0
        self.begun = 0
        """After how many records it can be resumed as what it is by now: a retry has to have begun."""
        self.count = count
        self._select()
        self.window = Window(rules, self.state)

    def _select(self) -> None:
        for index in range(self.count):
            item_id = f"i{index}"
            problem = "no `path`" if item_id in self.invalid else None
            self._record(events.ItemSelected(index=index, item_id=item_id, item=index, problem=problem))
        self._record(events.ItemsSelected(count=self.count))

    def resumed(self, cut: int, state: JobState | None = None) -> "Stage":
        """Another process goes on behind the first ``cut`` records, and with agents and merges under way there.

        ``state`` is what those records make, if they are not to be folded anew.
        """
        other = Stage(self.rules, 0, self.script)
        other.count, other.invalid, other.begun = self.count, self.invalid, self.begun
        other.records = self.records[:cut]
        other.state = fold(other.records) if state is None else state
        other.now = other.records[-1].timestamp if other.records else BEGINNING
        other._record(events.JobResumed())
        if not other.state.selected:
            other._select()
        other.window = Window(self.rules, other.state)
        for item in other.state.items.values():
            if item.status == "running":
                other.running[item.item_id] = item.attempts
                other.pending.append(("end", item.item_id, item.attempts))
            elif item.status == "merging" and item.error is None:
                other.merging[item.item_id] = self.script(item.item_id, item.attempts)
                other.pending.append(("merge", item.item_id))
        return other

    @property
    def at(self) -> float:
        return self.now.timestamp()

    @property
    def statuses(self) -> Counter[str]:
        return Counter(item.status for item in self.state.items.values())

    def order(self) -> list[tuple[str, int]]:
        """Items and attempts in the order in which they were started."""
        return [(item_id, attempt) for item_id, attempt, _, _ in self.started]

    def times(self) -> list[float]:
        return [at for _, _, at, _ in self.started]

    def retry(
        self,
        *items: str,
        script: Script,
        alike: int | None = None,
        random: Random | None = None,
        crashes: int = 0,
    ) -> "Stage":
        """The run has ended; play a retry of some of its dead letters, to its end."""
        self._record(events.JobCompleted(duration_ms=1))
        started = events.DlqRetryStarted(item_ids=items, base_commit="base", alike=alike)
        self._record(started)
        self.rules = retry_rules(self.rules, self.rules.max_parallel, None, alike)
        self.script, self.ends, self.pending = script, 0, []
        self.window = Window(self.rules, self.state)
        self.begun = len(self.records)
        return self.play(random, crashes)

    # -- playing -----------------------------------------------------------------------------------------------------
    def play(self, random: Random | None = None, crashes: int = 0) -> "Stage":
        """Until it has settled: one thing after the other in order, or in any order; with crashes of the window."""
        self._take(self.window.begin(self.at))
        for _ in range(10_000):
            if self.ends:
                return self._ended()
            if crashes and random is not None and random.random() < 0.1:
                crashes -= 1
                self._crash()
            elif self.pending:
                place = random.randrange(len(self.pending)) if random is not None else 0
                self._do(self.pending.pop(place))
            else:
                wakes_at = self.window.wakes_at
                assert wakes_at is not None, "nothing happens any more, and it has not settled"
                self.now = datetime.fromtimestamp(wakes_at, UTC)
                self._take(self.window.tick(self.at))
        raise AssertionError("it never settles")

    def _ended(self) -> "Stage":
        retry = self.state.retry
        if retry is not None and retry.ended is None:
            self._record(reprocessed(self.state, retry))
        return self

    def _crash(self) -> None:
        """The window is lost with what it had said and nobody had done yet; agents and merges go on."""
        happening = ("end", "merge")
        self.pending = [what for what in self.pending if isinstance(what, tuple) and what[0] in happening]
        self.window = Window(self.rules, self.state)
        self._take(self.window.begin(self.at))

    def _take(self, commands: list[Command]) -> None:
        for command in commands:
            if isinstance(command, Settle):
                self.ends += 1
            else:
                self.pending.append(command)

    def _tell(self, event: AnyEvent) -> None:
        self._record(event)
        self._take(self.window.on(event, self.at))

    def _record(self, event: AnyEvent) -> None:
        seq = len(self.records) + 1
        record = Record(
            v=1, seq=seq, id=UUID(int=seq), timestamp=self.now, correlation_id=UUID(int=1), event=event
        )
        self.records.append(record)
        apply(self.state, record)

    def _do(self, what: Any) -> None:
        match what:
            case Start():
                self._start(what)
            case ("end", str(item_id), int(attempt)):
                self._end(item_id, attempt)
            case ("merge", str(item_id)):
                self._merge(item_id)
            case Retry(item_id, attempt, charged_to, delay):
                self._tell(
                    events.AgentRetrying(
                        item_id=item_id,
                        agent_id="a",
                        next_attempt=attempt,
                        charged_to=charged_to,
                        backoff_ms=round(delay * 1000),
                    )
                )
            case Bury() | Unbury():
                self._queue(what)
            case Skip(item_id, reason):
                self._tell(events.ItemSkipped(item_id=item_id, reason=reason))
            case Halt(reason, message):
                self._tell(events.MapHalted(reason=reason, message=message))
            case OpenCircuit(failures, opening, pause):
                opened = events.CircuitOpened(
                    failures=failures, opening=opening, pause_ms=round(pause * 1000)
                )
                self._tell(opened)
            case CloseCircuit():
                self._tell(events.CircuitClosed())

    def _queue(self, what: Bury | Unbury) -> None:
        item_id = what.item_id
        item, letter = self.state.items[item_id], self.state.dead_letters.get(item_id)
        if isinstance(what, Unbury):
            self._tell(events.DlqItemRemoved(item_id=item_id, reason="retried"))
            return
        signature = signature_of(failure_of(item.history[-1]))
        if letter is None:
            added = events.DlqItemAdded(
                item_id=item_id,
                index=item.index,
                item=item.item,
                error_signature=signature,
                history=tuple(item.history),
            )
            self._tell(added)
        elif item.history:
            updated = events.DlqItemUpdated(
                item_id=item_id,
                error_signature=signature,
                failure_count=letter.failure_count + len(item.history),
                history=tuple(item.history),
            )
            self._tell(updated)

    def _start(self, start: Start) -> None:
        assert start.item_id not in self.running, "an item runs twice"
        assert start.item_id not in self.invalid, "an item that is not valid runs"
        self.running[start.item_id] = start.attempt
        assert len(self.running) <= self.rules.max_parallel
        self.started.append((start.item_id, start.attempt, self.at - BEGINNING.timestamp(), start.from_tip))
        if self.script(start.item_id, start.attempt) == "unstarted":
            self._end(start.item_id, start.attempt)
            return
        self.pending.append(("end", start.item_id, start.attempt))
        self._tell(
            events.AgentStarted(
                item_id=start.item_id,
                agent_id=f"agent-{start.item_id}-{start.attempt}",
                attempt=start.attempt,
                worktree="/w",
                slot=1,
                base_commit="b",
                branch="x",
            )
        )

    def _end(self, item_id: str, attempt: int) -> None:
        """The attempt ends after one second, as the script has it."""
        del self.running[item_id]
        self.now += timedelta(seconds=1)
        outcome = self.script(item_id, attempt)
        whose = {"item_id": item_id, "agent_id": "a", "attempt": attempt, "duration_ms": 1000}
        failure = UNSTARTED if outcome == "unstarted" else FAILURES.get(outcome)
        if failure is not None:
            self._tell(events.AgentFailed(**whose, error=failure, signature="s"))  # type: ignore[arg-type]
            return
        commits = () if outcome == "nothing" else ("c",)
        if commits:
            self.merging[item_id] = outcome
            self.pending.append(("merge", item_id))
        self._tell(events.AgentCompleted(**whose, head="h", commits=commits))  # type: ignore[arg-type]

    def _merge(self, item_id: str) -> None:
        match self.merging.pop(item_id):
            case "conflict":
                self._tell(
                    events.MergeConflicted(
                        intent=1, what="agent", target_branch="t", paths=("p",), item_id=item_id
                    )
                )
            case "unmergeable":
                self._tell(
                    events.MergeFailed(
                        intent=1, what="agent", target_branch="t", message="no", item_id=item_id
                    )
                )
            case _:
                self._tell(
                    events.WorktreeMerged(
                        intent=1,
                        what="agent",
                        target_branch="t",
                        old="o",
                        new="n",
                        strategy="merge-tree",
                        item_id=item_id,
                    )
                )


def always(outcome: Outcome) -> Script:
    """Every attempt ends the same way."""
    return lambda _item_id, _attempt: outcome


def failing(*items: str, outcome: Outcome = "failed") -> Script:
    """Some items fail whenever they run, all others make no change."""
    return lambda item_id, _attempt: outcome if item_id in items else "nothing"
