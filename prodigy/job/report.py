"""The whole story of a run as one document: ``prodigy.report/1``.

Pure. The result of ``run --json`` and of ``report --json``; also what the closing lines of a run are made of.
"""

from collections import Counter
from collections.abc import Iterator
from datetime import datetime

from msgspec import Struct, field

from prodigy import events
from prodigy.events import ErrorClass, Phase
from prodigy.job.amounts import KINDS, billed
from prodigy.job.critical_path import Link, attempts, critical_path
from prodigy.job.items import item_text
from prodigy.job.signature import signature_of
from prodigy.job.state import (
    Before,
    Commit,
    Detached,
    Histories,
    ItemState,
    ItemStatus,
    JobState,
    MergeOutcome,
    MergeStatus,
    Repeated,
)
from prodigy.job.summary import JobSummary, lived, summarize

SAMPLES = 3
"""Failures of a kind that stand for all of it."""
_BY_SIGNAL = 128
_SIGINT = 2


class PhaseReport(Struct, frozen=True, kw_only=True):
    """One phase that began."""

    phase: Phase
    status: str
    started_at: datetime
    duration_ms: int
    error: events.Failure | None


class ItemReport(Struct, frozen=True, kw_only=True):
    """One item; ``text`` is what people call it."""

    index: int
    item_id: str
    text: str
    status: ItemStatus
    attempts: int
    duration_ms: int
    cost_usd: float
    commits: tuple[str, ...]
    error_class: ErrorClass | None
    error: str | None
    json_log_location: str | None
    unchanged: bool
    """Whether it is done and changed no file."""
    started_at: datetime | None = None
    """When its last attempt began."""
    ended_at: datetime | None = None
    """When that ended; ``None`` while it runs."""


class ItemsReport(Struct, frozen=True, kw_only=True):
    """Counts, and every item by index."""

    total: int
    done: int
    failed: int
    skipped: int
    unchanged: int
    """Of those that are done: how many changed no file."""
    every: list[ItemReport] = field(name="list")


class FailureSample(Struct, frozen=True, kw_only=True):
    """One of the items that failed alike."""

    item_id: str
    text: str
    logs: tuple[str, ...]
    json_log_location: str | None


class FailureGroup(Struct, frozen=True, kw_only=True):
    """Failed items that share an error signature; the message is the first one's."""

    signature: str
    error_class: ErrorClass = field(name="class")
    count: int
    message: str
    samples: list[FailureSample]


class StepCost(Struct, frozen=True, kw_only=True):
    """What a step of the workflow cost, whatever it ran for; ``tokens`` of all kinds."""

    phase: Phase
    step: str
    name: str
    launches: int
    usd: float
    tokens: int


class ModelCost(Struct, frozen=True, kw_only=True):
    """What launches with a model cost; ``None``: none that is known, such as when they were turned away."""

    model: str | None
    launches: int
    usd: float
    tokens: int


class CostReport(Struct, frozen=True, kw_only=True):
    """What the run cost, attempts that still run included, and what it may cost.

    ``estimated_usd`` of it was not told by Claude, which was ended before it could; ``tokens`` by their kinds.
    """

    usd: float
    estimated_usd: float = 0.0
    reserved_usd: float = 0.0
    """What launches under way may still cost, where that is bounded."""
    tokens: dict[str, int] = {}
    launches: int = 0
    by_step: list[StepCost] = []
    """The most expensive first."""
    by_model: list[ModelCost] = []
    budget: events.Caps | None = None


class Report(Struct, frozen=True, kw_only=True):
    """``prodigy.report/1``."""

    schema: str = "prodigy.report/1"
    run: JobSummary
    status: str
    exit_code: int | None
    duration_ms: int
    """For which processes have worked at it."""
    phases: list[PhaseReport]
    items: ItemsReport
    failures: list[FailureGroup]
    merges: list[MergeOutcome]
    cost: CostReport
    commits: list[Commit]
    branch: str
    merge: MergeStatus
    merged_into: str | None
    merge_answer: str | None
    rescue_refs: list[str]
    before: Before | None = None
    """What the run had come to when it was last taken up; ``None`` if it never was."""
    repeated: list[Repeated] = []
    """What was begun a second time, and is paid for again."""
    detached: list[Detached] = []
    """What steps left running for good, on purpose."""
    next: list[str]
    critical_path: list[Link] = []
    """What the run was waiting for, where that was asked for."""


def report(
    state: JobState,
    repo: str,
    now: datetime,
    histories: Histories,
    *,
    holder_pid: int | None = None,
    path: bool = False,
) -> Report:
    """The report of ``state`` as of ``now``; ``holder_pid`` is the process that works at it, if any.

    ``path``: with what the run was waiting for.
    """
    run = lived(summarize(state, repo), holder_pid)
    end = state.ended_at or (now if run.live else run.updated_at)
    return Report(
        run=run,
        status=run.status,
        exit_code=exit_code(run, state.signal),
        duration_ms=round(state.money.active(end) * 1000),
        phases=_phases(state),
        items=_items(state),
        failures=failure_groups(state, histories),
        merges=state.merges,
        cost=_cost(state, run),
        commits=state.commit_log,
        branch=run.branch,
        merge=state.merge,
        merged_into=state.merged_into,
        merge_answer=state.merge_answer,
        rescue_refs=state.rescue_refs,
        before=state.before,
        repeated=state.repeated,
        detached=left_running(state),
        next=[run.next] if run.next else [],
        critical_path=critical_path(state) if path else [],
    )


def _cost(state: JobState, run: JobSummary) -> CostReport:
    money = state.money
    steps = sorted(money.by_step.values(), key=lambda step: -step.usd)
    models = sorted(money.by_model.items(), key=lambda model: -model[1].usd)
    return CostReport(
        usd=billed(state.spent_usd),
        estimated_usd=billed(state.estimated_usd),
        reserved_usd=run.reserved_usd,
        tokens={kind.removesuffix("_tokens"): getattr(money.whole, kind) for kind in KINDS},
        launches=money.launches,
        by_step=[
            StepCost(
                phase=step.phase,
                step=step.step,
                name=step.name,
                launches=step.launches,
                usd=billed(step.usd),
                tokens=step.tokens,
            )
            for step in steps
        ],
        by_model=[
            ModelCost(model=name or None, launches=one.launches, usd=billed(one.usd), tokens=one.tokens)
            for name, one in models
        ],
        budget=money.caps,
    )


def left_running(state: JobState) -> list[Detached]:
    """What outlives the run because a step says so, as long as it does not end by itself."""
    return [one for one in state.detached if one.until == "forever"]


def exit_code(run: JobSummary, signal: int | None) -> int | None:
    """What the run's process ends, or ended, with; ``None`` while it lives."""
    match run.status:
        case "completed":
            return 0
        case "interrupted":
            return _BY_SIGNAL + (signal or _SIGINT)
        case "starting" | "running":
            return None
        case "failed" | "paused" | "budget-exhausted" | "corrupt":
            return 1


def _phases(state: JobState) -> list[PhaseReport]:
    return [
        PhaseReport(
            phase=name,
            status=phase.status,
            started_at=phase.started_at,
            duration_ms=phase.duration_ms,
            error=phase.error,
        )
        for name, phase in state.phases.items()
    ]


def _items(state: JobState) -> ItemsReport:
    return ItemsReport(
        total=state.total,
        done=state.counts["done"],
        failed=state.counts["failed"],
        skipped=state.counts["skipped"],
        unchanged=sum(item.unchanged for item in state.items.values()),
        every=[_item(item) for item in state.items.by_index()],
    )


def _item(item: ItemState) -> ItemReport:
    ended = (
        None if item.status == "running" else max((link.ended_at for link in attempts(item)), default=None)
    )
    return ItemReport(
        index=item.index,
        item_id=item.item_id,
        text=item_text(item.item, item.item_id),
        status=item.status,
        attempts=item.attempts,
        duration_ms=item.duration_ms,
        cost_usd=billed(item.cost_usd),
        commits=item.commits,
        error_class=item.error.error_class if item.error else None,
        error=item.error.message if item.error else None,
        json_log_location=item.json_log_location,
        unchanged=item.unchanged,
        started_at=item.started_at,
        ended_at=ended,
    )


def failure_groups(state: JobState, histories: Histories) -> list[FailureGroup]:
    """Failed items by signature, the most frequent first, with up to three samples each."""
    samples: dict[str, list[tuple[ItemState, events.Failure]]] = {}
    counts: Counter[str] = Counter()
    for signature, item, error in _failures(state):
        counts[signature] += 1
        known = samples.setdefault(signature, [])
        if len(known) < SAMPLES:
            known.append((item, error))
    found = [
        _group(signature, counts[signature], few, [_logs(item, histories) for item, _ in few])
        for signature, few in samples.items()
    ]
    return sorted(found, key=lambda group: -group.count)


def _logs(item: ItemState, histories: Histories) -> tuple[str, ...]:
    """Where to read about the last failure of an item."""
    if item.error is not None and item.error.logs:
        return item.error.logs
    attempts = histories(item)
    return attempts[-1].logs if attempts else ()


def _failures(state: JobState) -> Iterator[tuple[str, ItemState, events.Failure]]:
    for item in state.items.values():
        if item.status == "failed" and item.error is not None:
            letter = state.dead_letters.get(item.item_id)
            signature = letter.error_signature if letter else signature_of(item.error)
            yield signature, item, item.error


def _group(
    signature: str, count: int, few: list[tuple[ItemState, events.Failure]], logs: list[tuple[str, ...]]
) -> FailureGroup:
    _, first = few[0]
    samples = [
        FailureSample(
            item_id=item.item_id,
            text=item_text(item.item, item.item_id),
            logs=those,
            json_log_location=item.json_log_location,
        )
        for (item, _), those in zip(few, logs, strict=True)
    ]
    return FailureGroup(
        signature=signature,
        error_class=first.error_class,
        count=count,
        message=first.message,
        samples=samples,
    )
