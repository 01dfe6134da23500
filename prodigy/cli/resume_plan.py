"""``resume --dry-run``: what a run would go on with; reads, and changes nothing."""

from collections.abc import Iterator

from prodigy import events
from prodigy.cli.invocation import Invocation
from prodigy.cli.replacement import differs, replacement
from prodigy.cli.text import counted
from prodigy.errors import RunError
from prodigy.job.items import item_text
from prodigy.job.plan import RunPlan, plan_of
from prodigy.job.redirection import Changes, resumed
from prodigy.job.retrying import in_force
from prodigy.job.state import JobState
from prodigy.job.summary import recorded
from prodigy.store.asked import asked
from prodigy.store.documents import EffectLeft, ItemLeft, PhaseLeft, ResumePlanDocument
from prodigy.store.runs import Run, load_state, run_holder

_LEFT = frozenset({"pending", "running", "merging"})
_STATUS = {"completed": "done", "running": "under-way"}


def foresee(invocation: Invocation, run: Run, changes: Changes) -> None:
    """Show what a resume would do.

    Raises:
        RunError: ``already-running``; ``journal-corrupt``.
        UsageError, WorkflowError: with ``--reload``, the file is no workflow for this run.
    """
    holder = run_holder(run)
    if holder is not None:
        raise RunError("already-running", f"The run is held by {holder}", hint="`prodigy stop` ends it")
    state = load_state(run)
    known = asked(run.layout, run.job_id, state.workflow_sha256) or plan_of(recorded(state.started))
    new = replacement(known, invocation).plan if changes.reload else None
    plan = in_force(new or known, state, resumed(state, changes, known, new))
    document = ResumePlanDocument(
        job_id=run.job_id,
        status="interrupted" if state.status in {"starting", "running"} else state.status,
        workflow_path=plan.workflow_path,
        workflow_sha256=plan.workflow_sha256,
        edited=differs(plan),
        phases=list(_phases(plan, state)),
        items=list(_items(state, changes)),
        ended=sum(state.counts[status] for status in ("done", "failed", "skipped")),
        effects=list(_effects(state)),
    )
    if not invocation.printer.document(document):
        for line in _lines(document):
            invocation.printer.line(line)


def _phases(plan: RunPlan, state: JobState) -> Iterator[PhaseLeft]:
    for phase in plan.phases():
        known = state.phases.get(phase)
        status = _STATUS.get(known.status, known.status) if known is not None else "waiting"
        yield PhaseLeft(phase=phase, status=status)


def _items(state: JobState, changes: Changes) -> Iterator[ItemLeft]:
    for item in state.items.by_index():
        queued = item.item_id in state.dead_letters
        undecided = item.status == "failed" and not queued and not item.discarded
        if item.status in _LEFT or undecided or (queued and changes.include):
            yield ItemLeft(
                item_id=item.item_id,
                text=item_text(item.item, item.item_id),
                status=item.status,
                attempts=item.attempts,
                step=item.step,
                queued=queued,
            )


def _effects(state: JobState) -> Iterator[EffectLeft]:
    for seq, step in state.intents.items():
        yield EffectLeft(
            seq=seq,
            what=step.kind,
            phase=step.phase,
            step=step.step,
            item_id=step.item_id,
            detail=step.command or step.name,
        )
    for seq, intent in state.git_intents.items():
        merges = isinstance(intent, events.MergeIntended)
        yield EffectLeft(
            seq=seq,
            what="merge" if merges else "worktree",
            phase=None,
            step=None,
            item_id=intent.item_id if isinstance(intent, events.MergeIntended) else None,
            detail=intent.target_branch if isinstance(intent, events.MergeIntended) else intent.path,
        )


def _lines(document: ResumePlanDocument) -> Iterator[str]:
    edited = ", its file is another one by now" if document.edited else ""
    yield f"{document.job_id}  {document.status}"
    yield f"workflow  {document.workflow_path} ({document.workflow_sha256[:8]}){edited}"
    for phase in document.phases:
        yield f"phase     {phase.phase}  {phase.status}"
    if document.items or document.ended:
        yield f"items     {counted(len(document.items), 'item')} to go on with, {document.ended:,} ended before"
    for item in document.items:
        place = f", at step {item.step}" if item.step is not None else ""
        yield f"item      {item.text}  {item.status}{', in the DLQ' if item.queued else ''}{place}"
    for effect in document.effects:
        whose = f" of {effect.item_id}" if effect.item_id is not None else ""
        place = f" {effect.phase} {effect.step}" if effect.step is not None else ""
        first = next(iter(effect.detail.splitlines()), "")
        yield f"cut off   {effect.what}{place}{whose}: {first}"
