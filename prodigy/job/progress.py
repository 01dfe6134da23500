"""How far a run is, item by item: ``prodigy.progress/1``.

Pure: a state and the time come in.
"""

from datetime import datetime
from heapq import nsmallest

from msgspec import Struct, field

from prodigy.events import Caps, ErrorClass, Failure, Phase
from prodigy.job.amounts import billed
from prodigy.job.items import item_text
from prodigy.job.letters import failed_before
from prodigy.job.state import ItemState, JobState
from prodigy.job.summary import ItemCounts, JobSummary, lived, progress, summarize

_SLOWEST = 5


class ItemAtWork(Struct, frozen=True, kw_only=True):
    """An item that an agent works at."""

    item_id: str
    text: str
    agent_id: str | None
    attempt: int
    step: str | None
    name: str | None
    """What the step does."""
    elapsed_ms: int
    cost_usd: float
    """Of all its attempts."""


class ItemToRetry(Struct, frozen=True, kw_only=True):
    """An item that failed and is tried again."""

    item_id: str
    text: str
    attempts: int
    ready_at: datetime | None
    """Before which it is not started."""
    error_class: ErrorClass | None = field(name="class")
    error: str | None


class ItemTime(Struct, frozen=True, kw_only=True):
    """An item, and what its attempts took together."""

    item_id: str
    text: str
    status: str
    attempts: int
    duration_ms: int


class MoneySpent(Struct, frozen=True, kw_only=True):
    """What Claude cost up to now; ``reserved_usd`` is what running launches may add."""

    usd: float
    reserved_usd: float
    tokens: int
    launches: int
    budget: Caps | None


class ProgressDocument(Struct, frozen=True, kw_only=True):
    """``prodigy.progress/1``."""

    schema: str = "prodigy.progress/1"
    run: JobSummary
    phase: Phase | None
    step: str | None
    items: ItemCounts
    elapsed_ms: int
    rate: float | None
    """Items a minute, from the latest ones and how many are at work; ``None`` while that cannot be told."""
    eta_ms: int | None
    cost: MoneySpent
    running: list[ItemAtWork]
    """Longest at work first."""
    retrying: list[ItemToRetry]
    """By index."""
    waiting: int
    """Items that nobody works at yet, those to be tried again included."""
    slowest: list[ItemTime]


def progress_document(
    state: JobState, repo: str, now: datetime, *, holder_pid: int | None = None
) -> ProgressDocument:
    """How far the run is at ``now``; ``holder_pid`` is the process that works at it, if any."""
    run = lived(summarize(state, repo), holder_pid)
    seen = progress(state, now if run.live else run.updated_at)
    items = state.items.values()
    running = [_at_work(item, now) for item in state.items.at_work() if item.status == "running"]
    ended = (item for item in items if item.duration_ms and item.status not in {"running", "pending"})
    slowest = nsmallest(_SLOWEST, ended, key=lambda item: -item.duration_ms)
    return ProgressDocument(
        run=run,
        phase=run.phase,
        step=run.current_step,
        items=seen.items,
        elapsed_ms=seen.elapsed_ms,
        rate=_rate(state) if run.live else None,
        eta_ms=run.eta_ms,
        cost=MoneySpent(
            usd=run.cost_usd,
            reserved_usd=run.reserved_usd,
            tokens=state.money.tokens,
            launches=state.money.launches,
            budget=run.budget,
        ),
        running=sorted(running, key=lambda item: -item.elapsed_ms) if run.live else [],
        retrying=[
            _to_retry(item, error)
            for item in items
            if item.status == "pending" and (error := failed_before(state, item)) is not None
        ],
        waiting=seen.items.waiting,
        slowest=[_time(item) for item in slowest],
    )


def _rate(state: JobState) -> float | None:
    recent, running = state.item_durations, state.counts["running"]
    taken = sum(recent) / len(recent) if recent else 0.0
    return round(60_000 * running / taken, 2) if taken and running else None


def _at_work(item: ItemState, now: datetime) -> ItemAtWork:
    elapsed = (now - item.started_at).total_seconds() if item.started_at else 0.0
    return ItemAtWork(
        item_id=item.item_id,
        text=item_text(item.item, item.item_id),
        agent_id=item.agent_id,
        attempt=item.attempts,
        step=item.step,
        name=item.step_name,
        elapsed_ms=max(0, round(elapsed * 1000)),
        cost_usd=billed(item.cost_usd + item.spent_usd),
    )


def _to_retry(item: ItemState, error: Failure) -> ItemToRetry:
    return ItemToRetry(
        item_id=item.item_id,
        text=item_text(item.item, item.item_id),
        attempts=item.attempts,
        ready_at=item.ready_at,
        error_class=error.error_class,
        error=error.message,
    )


def _time(item: ItemState) -> ItemTime:
    return ItemTime(
        item_id=item.item_id,
        text=item_text(item.item, item.item_id),
        status=item.status,
        attempts=item.attempts,
        duration_ms=item.duration_ms,
    )
