"""A run in a few lines: what lists show and what the screen counts.

Pure: views of a ``JobState``; the present time comes in as a value. Whether a run lives cannot be read from its
records; ``lived`` tells a summary what its lock said.
"""

from datetime import datetime
from typing import Literal, TypeVar

from msgspec import Struct
from msgspec.structs import replace

from prodigy import ids
from prodigy.errors import InternalError
from prodigy.events import BudgetKind, Caps, PauseReason, Phase, Scarce
from prodigy.ids import Kind
from prodigy.job.amounts import billed
from prodigy.job.state import AT_REST, Detached, JobState, MergeStatus

SummaryStatus = Literal[
    "starting", "running", "completed", "failed", "paused", "interrupted", "budget-exhausted", "corrupt"
]

Known = TypeVar("Known")

_FEWEST_FOR_ESTIMATE = 5


class ItemCounts(Struct, frozen=True, kw_only=True):
    """How many items stand where; they add up to ``total``."""

    total: int = 0
    done: int = 0
    failed: int = 0
    running: int = 0
    waiting: int = 0
    merging: int = 0
    skipped: int = 0


class Pause(Struct, frozen=True, kw_only=True):
    """Why a run rests of its own accord, in words that people read, and until when, where that is known."""

    reason: PauseReason
    message: str
    until: datetime | None = None


class JobSummary(Struct, frozen=True, kw_only=True):
    """What lists say of a run. ``commits`` and ``files_changed`` are counts on the session branch."""

    stem: str
    session_id: str
    job_id: str
    repo: str
    kind: Kind
    workflow: str
    workflow_path: str
    arguments: tuple[str, ...] = ()
    """The values that the workflow was given."""
    status: SummaryStatus
    phase: Phase | None = None
    current_step: str | None = None
    total_steps: int | None = None
    """Of the phase; ``None`` where an earlier release recorded the run."""
    items: ItemCounts = ItemCounts()
    commits: int = 0
    files_changed: int = 0
    cost_usd: float = 0.0
    """Attempts that still run included."""
    reserved_usd: float = 0.0
    """What launches of Claude that are under way may still cost, where that is bounded."""
    budget: Caps | None = None
    """What the run may use, if that is bounded."""
    dlq_count: int = 0
    branch: str
    branch_removed: bool = False
    target: str
    merge: MergeStatus = "pending"
    error: str | None = None
    started_at: datetime
    updated_at: datetime
    ended_at: datetime | None = None
    eta_ms: int | None = None
    quota_until: datetime | None = None
    """Before which a run that lives launches no Claude, where the API turned it away."""
    short_of: Scarce | None = None
    """Of what the machine of a run that lives has too little for another agent."""
    exhausted: BudgetKind | None = None
    """Of a run that is ``budget-exhausted``: which of its bounds lets it not go on."""
    pause: Pause | None = None
    """Of a run that is ``paused``."""
    pid: int | None = None
    next: str | None = None
    stale: bool = False
    """Whether the run has gone on since: only lists that do not read journals say so."""
    detached: list[Detached] = []
    """What its steps left running, whether it still runs or not; once the run has ended, for good."""

    @property
    def tail(self) -> str:
        """The six characters that people type."""
        return ids.tail_of(self.stem)

    @property
    def live(self) -> bool:
        """Whether a process works at it."""
        return self.status in {"starting", "running"}

    @property
    def resumable(self) -> bool:
        """Whether work is left that the run was asked for."""
        return self.status in {*AT_REST, "failed", "corrupt"} and not self.branch_removed

    @property
    def waiting(self) -> bool:
        """Whether it ended with items in the dead letter queue."""
        return self.status == "completed" and self.dlq_count > 0

    @property
    def stuck(self) -> bool:
        """Whether its map phase failed with nothing left to do but to try dead letters again."""
        left = self.items.waiting + self.items.running + self.items.merging
        return self.status == "failed" and self.phase == "map" and self.dlq_count > 0 and not left

    @property
    def unmerged(self) -> bool:
        """Whether it ended with work that is only on its own branch."""
        open_merge = self.merge in {"pending", "declined", "failed"}
        return self.status == "completed" and open_merge and self.commits > 0 and not self.branch_removed

    @property
    def uncleaned(self) -> bool:
        """Whether nothing is left to merge, and its worktree and branches were not removed to the end."""
        return self.status == "completed" and self.merge in {"merged", "nothing"} and not self.branch_removed


class Progress(Struct, frozen=True, kw_only=True):
    """How far a run is; milliseconds."""

    items: ItemCounts
    elapsed_ms: int
    eta_ms: int | None


def recorded(value: Known | None) -> Known:
    """``value``, which the first record of every journal sets.

    Raises:
        InternalError: the state was folded from nothing.
    """
    if value is None:
        raise InternalError("journal-empty", "a run without its first record was asked for")
    return value


def summarize(state: JobState, repo: str) -> JobSummary:
    """The summary of ``state`` as the records alone tell it."""
    started = recorded(state.started)
    summary = JobSummary(
        stem=ids.stem_of(started.job_id),
        session_id=started.session_id,
        job_id=started.job_id,
        repo=repo,
        kind=started.kind,
        workflow=started.workflow_name,
        workflow_path=started.workflow_path,
        arguments=started.arguments,
        status=state.status,
        phase=_where(state),
        current_step=state.current_step,
        total_steps=state.steps.get(_where(state) or "steps"),
        items=item_counts(state),
        commits=state.commits,
        files_changed=len(state.files_changed),
        cost_usd=billed(state.spent_usd),
        reserved_usd=billed(state.money.reserved) if state.ended_at is None else 0.0,
        budget=state.money.caps,
        dlq_count=len(state.dead_letters),
        branch=state.branch,
        branch_removed=state.branch_removed,
        target=started.target,
        merge=state.merge,
        error=state.error.message if state.error else None,
        started_at=recorded(state.started_at),
        updated_at=recorded(state.updated_at),
        ended_at=state.ended_at,
        eta_ms=eta_ms(state),
        quota_until=_quota_until(state),
        short_of=state.short_of if state.ended_at is None else None,
        exhausted=None if state.money.exhausted is None else state.money.exhausted.kind,
        pause=_pause(state),
        detached=[one for one in state.detached if one.until == "forever" or state.ended_at is None],
    )
    return replace(summary, next=next_command(summary))


def _quota_until(state: JobState) -> datetime | None:
    """When the last block ends; a run at rest waits for none."""
    blocks = (quota.until for quota in state.quotas if quota.until is not None and quota.row)
    return max(blocks, default=None) if state.ended_at is None else None


def _pause(state: JobState) -> Pause | None:
    if state.status != "paused" or state.pause is None:
        return None
    block, refused, down = state.given_up, state.refused, state.turned_down
    message, until = "nothing could be recorded any more", None
    if state.no_room is not None:
        message = f"there is too little {state.no_room.what} for another agent"
    if state.pause == "quota" and block is not None:
        message = f"the API turns {block.model or 'Claude'} away"
        until = block.until if block.known else None
    elif state.pause == "disk" and refused is not None:
        message = f"nothing can be written in {refused.path}"
    elif state.pause == "claude" and down is not None:
        message = f"Claude does not work: {down.message}"
    return Pause(reason=state.pause, message=message, until=until)


def _where(state: JobState) -> Phase | None:
    """The phase that a run is in, or that it failed in: a later one only answers the failure."""
    if state.status != "failed":
        return state.phase
    return next((name for name, phase in state.phases.items() if phase.status == "failed"), state.phase)


def lived(summary: JobSummary, holder_pid: int | None) -> JobSummary:
    """``summary`` with what the run's lock says: without a holder, a run without an end is interrupted."""
    if not summary.live:
        return summary
    if holder_pid is not None:
        return replace(summary, pid=holder_pid)
    dead = replace(summary, status="interrupted", eta_ms=None, quota_until=None, reserved_usd=0.0)
    return replace(dead, next=next_command(dead))


def next_command(summary: JobSummary) -> str | None:
    """What to type next about a run that ended; ``…`` is for the user to say."""
    if summary.unmerged:
        return f"prodigy worktree merge {summary.tail}"
    if summary.waiting or (summary.stuck and not summary.branch_removed):
        return f"prodigy dlq retry {summary.tail}"
    more = f" --budget {summary.exhausted}=…" if summary.exhausted is not None else ""
    return f"prodigy resume {summary.tail}{more}" if summary.resumable else None


def item_counts(state: JobState) -> ItemCounts:
    """The counts that the state keeps, by the names that people read; agents without a place wait."""
    counts = state.counts
    parked = sum(state.items[item_id].status == "running" for item_id in state.parked_agents)
    return ItemCounts(
        total=state.total,
        done=counts["done"],
        failed=counts["failed"],
        running=counts["running"] - parked,
        waiting=counts["pending"] + parked,
        merging=counts["merging"],
        skipped=counts["skipped"],
    )


def progress(state: JobState, now: datetime) -> Progress:
    """How far the run is at ``now``, or was when it ended; ``elapsed_ms`` is while processes worked at it."""
    end = state.ended_at or now
    elapsed = round(state.money.active(end) * 1000)
    return Progress(items=item_counts(state), elapsed_ms=elapsed, eta_ms=eta_ms(state))


def eta_ms(state: JobState) -> int | None:
    """Milliseconds until all items ended, guessed from the last ones; ``None`` while there is too little to go by.

    Running items are taken to be half done, and the number of them to stay.
    """
    counts = state.counts
    ended = counts["done"] + counts["merging"] + counts["failed"]
    left = counts["pending"] + counts["running"] / 2
    recent = state.item_durations
    waits = _quota_until(state) is not None
    if waits or state.ended_at is not None or ended < _FEWEST_FOR_ESTIMATE or not recent or not left:
        return None
    parallel = counts["running"] or state.max_parallel
    return round(sum(recent) / len(recent) * left / parallel)
