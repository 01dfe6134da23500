"""The state of a run: the fold of its journal.

Pure. ``job.fold`` is the only way a state comes to be, live in the recorder and later from disk, so both always agree.
A ``JobState`` is owned by whoever folds it and changed in place; a state never depends on anything but the records.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from datetime import datetime
from typing import Any, Final, Literal
from uuid import UUID

import msgspec
from msgspec import Struct, field

from prodigy import events, ids
from prodigy.decoding import JsonDecoder
from prodigy.events import (
    Attempt,
    BudgetExhausted,
    BudgetKind,
    BudgetWarned,
    Caps,
    ClaudeUse,
    Failure,
    Phase,
)
from prodigy.ids import SessionId
from prodigy.job.overrides import Overrides
from prodigy.job.rows import ROOM, RowKind, Rows, Shelf

ItemStatus = Literal["pending", "running", "merging", "done", "failed", "skipped"]
JobStatus = Literal["starting", "running", "completed", "failed", "paused", "interrupted", "budget-exhausted"]
AT_REST: Final[frozenset[JobStatus]] = frozenset({"paused", "interrupted", "budget-exhausted"})
"""Neither under way nor at an end."""
MergeStatus = Literal["pending", "merged", "declined", "nothing", "failed"]


class Resolution(Struct, frozen=True, kw_only=True):
    """A conflict that Claude resolves, or has resolved."""

    source: str
    onto: str
    paths: tuple[str, ...] = ()
    commit: str | None = None
    """The result, checked; ``None`` while there is none."""
    began: datetime | None = None


def packed(item: Any) -> str:
    """A value of an item as JSON, which takes a third of the room."""
    return msgspec.json.encode(item).decode()


class Leaves(Struct, kw_only=True, omit_defaults=True):
    """What is recorded of the leaves of an attempt that runs, by ``phase/path/try``."""

    outcomes: dict[str, events.StepCompleted | events.StepFailed] = {}
    """Those that have one."""
    conversations: dict[str, ClaudeUse] = {}
    """Those of leaves without an outcome, with what they used so far."""
    finished: dict[str, str] = {}
    """Those of them that had succeeded: the logs that end in their results."""
    waiting: dict[str, str | None] = {}
    """Those whose last launch ended in order and that go on later: when the machine started then."""


class FailedAttempt(Struct, frozen=True, array_like=True, gc=False):
    """When an attempt failed, and how long it took."""

    number: int
    at: datetime
    duration_ms: int


class ItemState(Struct, kw_only=True, omit_defaults=True):
    """One work item: what it is, where it stands, what its attempts were.

    There may be hundreds of thousands of these: what only some of them have is ``None`` or empty in the others.
    """

    index: int
    item_id: str
    packed: str
    """What it is: ``item``, ``packed``."""
    status: ItemStatus = "pending"
    attempts: int = 0
    retries: int = 0
    """Attempts that the item's own failures were answered with."""
    host_losses: int = 0
    conflicts: int = 0
    resolutions: int = 0
    """Conflicts that Claude did not resolve well."""
    resolution: Resolution | None = None
    """The conflict that is being resolved."""
    foreseen: tuple[str, ...] = ()
    """Paths at which what its attempt committed so far collides with what was merged beside it."""
    waited_ms: int = 0
    """Pauses before its attempts."""
    ready_at: datetime | None = None
    """Before which a pending item is not started again."""
    forgiven: bool = False
    """Whether it had failed before a failed run was taken up again: it then counts against no limit any more."""
    forgiven_ms: int = 0
    """Of its attempts and pauses, what counts against no limit any more."""
    discarded: bool = False
    """Whether somebody took it out of the queue: it has failed, and nobody asks about it any more."""
    trial: bool = False
    """Whether its attempt was started while the circuit was open."""
    agent_id: str | None = None
    slot: int | None = None
    base_commit: str | None = None
    started_at: datetime | None = None
    step: str | None = None
    step_name: str | None = None
    head: str | None = None
    commits: tuple[str, ...] = ()
    files_changed: tuple[str, ...] = ()
    output: str = ""
    variables: dict[str, Any] | None = None
    duration_ms: int = 0
    cost_usd: float = 0.0
    json_log_location: str | None = None
    error: Failure | None = None
    failed: tuple[FailedAttempt, ...] = ()
    """Attempts that failed, oldest first."""
    history: tuple[Attempt, ...] = ()
    """Those of them, whole, that the dead letter queue was not told of; none of an item that is done."""
    told: tuple[int | Attempt, ...] = ()
    """What the others are known from, in order: records of the journal, or an attempt that no record tells whole."""
    rescue_ref: str | None = None
    """Where the current attempt's unmerged work is kept."""
    rescued_files: tuple[str, ...] = ()
    """What that work changes."""
    uncommitted: bool = False
    """Whether some of it was not committed."""
    leaves: Leaves | None = None
    """Those of the attempt that runs, as soon as something is recorded of one."""
    claude_session: str | None = None
    """The conversation that the last launch of Claude began, in the attempt that runs."""
    put_aside: str | None = None
    """The ref of what was in its worktree when that was brought back, until a launch of Claude has been told of it."""
    spent_usd: float = 0.0
    """What the attempt that runs spent on Claude so far; it belongs to ``cost_usd`` once the attempt has ended."""

    @property
    def unchanged(self) -> bool:
        """Whether it is done and changed no file."""
        return self.status == "done" and not self.files_changed

    @property
    def item(self) -> Any:
        """What it is, made anew each time."""
        return msgspec.json.decode(self.packed)

    @property
    def opened(self) -> Leaves:
        """Its leaves, to be changed."""
        if self.leaves is None:
            self.leaves = Leaves()
        return self.leaves


def _at_work(item: ItemState) -> bool:
    return item.status in {"running", "merging"} or item.resolution is not None


_ITEMS: Final = RowKind(JsonDecoder(ItemState), _at_work, lambda item: item.error is not None)


def item_rows(
    items: Iterable[ItemState] = (), shelf: Shelf | None = None, room: int = ROOM
) -> Rows[ItemState]:
    """Items; those with an error are marked."""
    return Rows(_ITEMS, items, shelf, room)


class Quota(Struct, kw_only=True):
    """What the API lets one account do with one model, as far as it said so."""

    account: str
    model: str | None
    until: datetime | None = None
    """Before which nothing of it begins; ``None``: it is not blocked."""
    since: datetime | None = None
    """When it was turned away first, in the row of blocks without an answer between them."""
    row: int = 0
    width: int | None = None
    """How many launches may be under way; ``None``: as many as there are."""


Lane = tuple[str, str | None]
"""An account and a model."""


class Spending(Struct, kw_only=True):
    """What some of the launches used, by kinds of tokens."""

    launches: int = 0
    usd: float = 0.0
    input_tokens: int = 0
    output_tokens: int = 0
    cache_read_tokens: int = 0
    cache_creation_tokens: int = 0

    @property
    def tokens(self) -> int:
        """All of them."""
        return self.input_tokens + self.output_tokens + self.cache_read_tokens + self.cache_creation_tokens


class StepSpending(Spending, kw_only=True):
    """Of one step of the workflow's text, whatever it ran for."""

    phase: Phase
    step: str
    name: str = ""


class Money(Struct, kw_only=True):
    """What a run has spent on Claude up to now, attempts that still run included, and what is set apart."""

    usd: float = 0.0
    tokens: int = 0
    launches: int = 0
    under_way: dict[int, float] = {}
    """Launches whose end is not told yet, by the intents of their leaves: US dollars that are reserved for them."""
    samples: list[tuple[float, int]] = []
    """US dollars and tokens of the latest launches, oldest first."""
    wall: float = 0.0
    """Seconds that the processes before this one ran."""
    awake_since: datetime | None = None
    """When this one took the run up."""
    warned: dict[BudgetKind, BudgetWarned] = {}
    """Soft limits that this process reached."""
    exhausted: BudgetExhausted | None = None
    """Why the run does not go on."""
    caps: Caps | None = None
    """What it may use; ``None`` as long as that is not known, and where nothing is bounded."""
    whole: Spending = field(default_factory=Spending)
    by_step: dict[str, StepSpending] = {}
    """By ``phase/path``, the items of a ``foreach`` taken together."""
    by_model: dict[str, Spending] = {}

    @property
    def reserved(self) -> float:
        """US dollars that launches under way may still cost."""
        return sum(self.under_way.values())

    def active(self, now: datetime) -> float:
        """Seconds that processes have worked at the run up to ``now``, where one works at it or ended then."""
        awake = 0.0 if self.awake_since is None else (now - self.awake_since).total_seconds()
        return self.wall + max(0.0, awake)


class DeadLetter(Struct, kw_only=True, omit_defaults=True):
    """An item that failed for good, as the queue holds it; mirrors the record ``seq``.

    There may be hundreds of thousands of these, so they hold what is decided by; the journal has the rest.
    """

    seq: int
    item_id: str
    index: int
    packed: str
    """See ``ItemState``."""
    error_signature: str
    failure_count: int = 0
    """How many attempts failed."""
    last: Failure | None = None
    """What the last one failed with, without its output and its logs."""
    reprocess_eligible: bool
    manual_review_required: bool
    workflow_sha256: str | None = None
    """Of the workflow that it failed with last."""
    template_sha256: str | None = None
    first_attempt: datetime
    last_attempt: datetime

    @property
    def item(self) -> Any:
        """What it is, made anew each time."""
        return msgspec.json.decode(self.packed)

    @property
    def error_class(self) -> events.ErrorClass | None:
        """The class of the last failure."""
        return self.last.error_class if self.last is not None else None

    @property
    def message(self) -> str:
        """What the last failure says."""
        return self.last.message if self.last is not None else ""


_LETTERS: Final = RowKind(JsonDecoder(DeadLetter), lambda _: False, lambda _: False)


def letter_rows(
    letters: Iterable[DeadLetter] = (), shelf: Shelf | None = None, room: int = ROOM
) -> Rows[DeadLetter]:
    """Dead letters."""
    return Rows(_LETTERS, letters, shelf, room)


Histories = Callable[[ItemState], Sequence[Attempt]]
"""Reads the failed attempts that the queue was told of, oldest first, of an item; states do not hold them."""


class RetryState(Struct, kw_only=True):
    """The last time that items of the queue were tried again."""

    started: events.DlqRetryStarted
    started_at: datetime
    ended: events.DlqItemsReprocessed | None = None

    @property
    def items(self) -> tuple[str, ...]:
        """The ids of the items."""
        return self.started.item_ids

    @property
    def fruitless(self) -> bool:
        """Whether it has ended and no item succeeded."""
        return self.ended is not None and self.ended.succeeded == 0


class PhaseState(Struct, kw_only=True):
    """A phase that began."""

    status: Literal["running", "completed", "failed", "skipped"]
    started_at: datetime
    duration_ms: int = 0
    base_commit: str | None = None
    max_parallel: int | None = None
    tree: str | None = None
    variables: dict[str, Any] = {}
    fields: dict[str, dict[str, Any]] = {}
    error: Failure | None = None


class IterationState(Struct, kw_only=True):
    """One run of a plain workflow's steps among several."""

    number: int
    started_at: datetime
    base_commit: str
    duration_ms: int = 0
    head: str | None = None
    """Where it ended; ``None`` while it runs."""
    error: Failure | None = None

    @property
    def ended(self) -> bool:
        """Whether its end is recorded."""
        return self.head is not None

    @property
    def changed(self) -> bool:
        """Whether it moved the session branch."""
        return self.head is not None and self.head != self.base_commit


class Circuit(Struct):
    """A circuit that is open: for which time in a row, until when (seconds since the epoch), how its trials ended."""

    opening: int
    until: float
    successes: int = 0
    failures: int = 0


class Before(Struct, frozen=True, kw_only=True):
    """What a run had come to when it was taken up."""

    done: int
    commits: int
    cost_usd: float
    steps: int
    """Leaves that had ended."""


class Repeated(Struct, frozen=True, kw_only=True):
    """Work that was paid for more than once; without a step it is a whole attempt at an item."""

    phase: Phase
    step: str | None = None
    item_id: str | None = None
    kind: str | None = None


class CommandTiming(Struct, frozen=True):
    """One executed step and how long it took."""

    command: str
    duration_ms: int


class Commit(Struct, frozen=True, kw_only=True):
    """One commit on the session branch; ``message`` is unknown for commits that agents brought."""

    sha: str
    phase: Phase
    item_id: str | None = None
    message: str | None = None


class Detached(Struct, frozen=True, kw_only=True):
    """A process that a step left running, named for ever by pid, start time and boot."""

    pid: int
    start_time: int
    boot_id: str
    until: Literal["agent", "run", "forever"]
    phase: Phase
    step: str
    item_id: str | None = None
    command: str = ""


class Spawned(Struct, frozen=True, kw_only=True):
    """The process of a leaf that has no outcome, named for ever by pid, start time and boot."""

    pid: int
    start_time: int
    boot_id: str


MergeResult = Literal["merged", "conflicted", "failed"]


class MergeOutcome(Struct, frozen=True, kw_only=True):
    """How one try to move a branch ended."""

    at: datetime
    what: Literal["agent", "final"]
    result: MergeResult
    target_branch: str
    item_id: str | None = None
    agent_id: str | None = None
    old: str | None = None
    new: str | None = None
    strategy: str | None = None
    paths: tuple[str, ...] = ()
    message: str | None = None


GitIntent = events.WorktreeCreateIntended | events.WorktreeRemoveIntended | events.MergeIntended


class JobState(Struct, kw_only=True):
    """Everything the journal says of a run."""

    seq: int = 0
    started: events.JobStarted | None = None
    correlation_id: UUID | None = None
    started_at: datetime | None = None
    updated_at: datetime | None = None
    ended_at: datetime | None = None
    status: JobStatus = "starting"
    signal: int | None = None
    error: Failure | None = None
    phase: Phase | None = None
    phases: dict[Phase, PhaseState] = {}
    iterations: list[IterationState] = []
    """Runs of the steps of a plain workflow, if there may be more than one."""
    selected: bool = False
    items: Rows[ItemState] = field(default_factory=item_rows)
    counts: Counter[ItemStatus] = field(default_factory=Counter)
    halted: Failure | None = None
    """Why no more items are started."""
    circuit: Circuit | None = None
    """The circuit breaker while it is not closed."""
    failures_in_a_row: int = 0
    """Items that failed for good since the last one that did not."""
    current_step: str | None = None
    current_step_name: str | None = None
    steps_done: int = 0
    commits: int = 0
    files_changed: set[str] = set()
    outcomes: dict[str, events.StepCompleted | events.StepFailed] = {}
    """Recorded leaf outcomes of the phases other than map, by ``phase/path/try``."""
    intents: dict[int, events.StepIntended] = {}
    """Leaves without an outcome, by sequence number."""
    conversations: dict[str, ClaudeUse] = {}
    """Those of leaves without an outcome, in phases other than map; see ``Leaves``."""
    finished: dict[str, str] = {}
    """See ``Leaves``."""
    waiting: dict[str, str | None] = {}
    """See ``Leaves``."""
    put_aside: str | None = None
    """See ``ItemState.put_aside``; of the session worktree."""
    money: Money = field(default_factory=Money)
    quotas: list[Quota] = []
    """Accounts and models that the API turned away in this run."""
    given_up: events.QuotaBlocked | None = None
    """Why this process does not wait for the quota any more."""
    pause: events.PauseReason | None = None
    """Why it came to rest last."""
    turned_down: events.ClaudeParked | None = None
    """Why no launch of Claude would come to anything."""
    parked: set[int] = set()
    """Leaves whose conversations wait for the quota, by their intents."""
    no_room: events.HostShort | None = None
    """What the run came to rest for, having waited for it long enough."""
    short_of: events.Scarce | None = None
    """Of what the machine has too little for another agent."""
    parked_agents: dict[str, Lane] = {}
    """Items whose agents wait for a quota without a place, first parked first: whose quota it is."""
    launches: dict[int, events.ClaudeIntended] = {}
    """Launches of Claude that were admitted and of which nobody has told the end, by their intents."""
    git_intents: dict[int, GitIntent] = {}
    """Changes of worktrees and branches without an outcome, by sequence number."""
    leases: dict[int, str] = {}
    """Slots that an agent holds, by number: the agent's id."""
    base_commit: str | None = None
    """What the session branch in force began with."""
    branch_number: int = 0
    """How many session branches there were before it."""
    tip: str | None = None
    """The session branch's last known commit."""
    merge: MergeStatus = "pending"
    merged_into: str | None = None
    merge_commit: str | None = None
    resolution: Resolution | None = None
    """A conflict of the final merge that is being resolved."""
    steps: dict[Phase, int] = {}
    """How many steps each phase of the workflow in force has; of map, those of each agent."""
    refused: events.WritingRefused | None = None
    """Why the run came to rest, if the disk of the repository or of the worktrees was the reason."""
    settled: tuple[str, str] | None = None
    """A tip that collided with the target, and the commit that takes its place in the final merge."""
    merge_answer: str | None = None
    """The answer to the question of the final merge."""
    merged_at: datetime | None = None
    branch_removed: bool = False
    """Whether the session branch was removed; then nothing of the run waits for a merge or a resume."""
    merges: list[MergeOutcome] = []
    commit_log: list[Commit] = []
    """Every commit that ``commits`` counts, in order."""
    commit_files: dict[str, tuple[str, ...]] = {}
    """What those of them changed that no agent brought, by their ids."""
    rescue_refs: list[str] = []
    dead_letters: Rows[DeadLetter] = field(default_factory=letter_rows)
    retry: RetryState | None = None
    """The last retry of dead letters; ``None`` once a failed run was taken up after it."""
    alike: int = 0
    """Items that failed for good in a row with one error signature: ``alike_signature``."""
    alike_signature: str = ""
    flags: Overrides = Overrides()
    """What was put over the choices that the run was begun with, when it was taken up."""
    before: Before | None = None
    """What there was when it was last taken up; ``None`` if it never was."""
    taken_up: int = 0
    """The number of the record that says so."""
    repeated: list[Repeated] = []
    """What was begun a second time because it had been cut off, or because what it left was gone."""
    repeated_before: int = 0
    """How many of them before the run was last taken up."""
    workflow_sha256: str | None = None
    """Of the workflow in force."""
    template_sha256: str | None = None
    """Of what its agents do."""
    workers: dict[int, int] = {}
    """Pids of worker processes by number."""
    workers_lost: int = 0
    boot_id: str = ""
    """Of the machine that the latest process of the run worked on."""
    spawned: dict[int, Spawned] = {}
    """Processes whose end is not recorded, by the intent of their leaf."""
    detached: list[Detached] = []
    """What steps left running, whether it still runs or not."""
    command_timings: list[CommandTiming] = []
    item_durations: list[int] = []
    """Milliseconds that the latest ended items took, oldest first; at most ``max(20, 2 * max_parallel)``."""
    cost_usd: float = 0.0
    estimated_usd: float = 0.0
    """What of the cost is estimated, at once also of attempts that still run."""

    def quota(self, lane: Lane) -> Quota | None:
        """What is known of the quota of an account and a model; ``None``: they were never turned away."""
        return next((quota for quota in self.quotas if (quota.account, quota.model) == lane), None)

    @property
    def short_name(self) -> str:
        """What people type for the run; empty before it began."""
        return ids.tail_of(self.started.job_id) if self.started is not None else ""

    @property
    def spent_usd(self) -> float:
        """What Claude cost, in attempts that still run too; journals of earlier releases tell it when an attempt ends."""
        return max(self.cost_usd, self.money.usd)

    @property
    def branch(self) -> str:
        """The session branch in force; empty before the run has begun."""
        if self.started is None or not self.branch_number:
            return self.started.session_branch if self.started is not None else ""
        return ids.session_branch(SessionId(self.started.session_id), self.branch_number)

    @property
    def source(self) -> str | None:
        """What the final merge merges: the tip, or what resolved its conflicts with the target."""
        if self.settled is not None and self.settled[0] == self.tip:
            return self.settled[1]
        return self.tip

    @property
    def total(self) -> int:
        """How many items were selected."""
        return len(self.items)

    @property
    def max_parallel(self) -> int:
        """How many agents may run at a time, as far as it is known yet."""
        phase = self.phases.get("map")
        if phase is not None and phase.max_parallel is not None:
            return phase.max_parallel
        return self.started.max_parallel if self.started is not None else 1


def leaves_of(owner: JobState | ItemState) -> JobState | Leaves:
    """The leaves of an item's attempt, or those of the phases other than map; only to be read."""
    return owner if isinstance(owner, JobState) else owner.leaves or Leaves()


def first_line(text: str) -> str:
    """The first line of ``text`` that is not blank, stripped."""
    if text.isprintable():  # one line
        return text.strip()
    return next((line.strip() for line in text.splitlines() if line.strip()), "")
