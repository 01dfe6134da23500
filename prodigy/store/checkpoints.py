"""What people ask of snapshots: which there are, what stands in one, whether they are right, and removing them.

A snapshot is called ``JOB@SEQ``. One that cannot be used has a ``problem``, and says nothing else.
"""

from collections.abc import Iterable, Sequence
from datetime import datetime
from pathlib import Path

import msgspec
from msgspec import Struct

from prodigy.errors import UsageError
from prodigy.events import Phase
from prodigy.job.summary import ItemCounts, item_counts
from prodigy.store.atomic import remove_file
from prodigy.store.runs import Run
from prodigy.store.sessions import variables_of
from prodigy.store.shelf import blank
from prodigy.store.snapshot_lines import Unusable, snapshot_in, state_in
from prodigy.store.snapshots import faults, seq_of, snapshots


class Checkpoint(Struct, frozen=True, kw_only=True):
    """One snapshot in a line."""

    id: str
    job_id: str
    seq: int
    path: str
    bytes: int
    created_at: datetime | None = None
    phase: Phase | None = None
    items_done: int | None = None
    total_items: int | None = None
    problem: str | None = None


class CheckpointsDocument(Struct, frozen=True, tag_field="schema", tag="prodigy.checkpoints/1"):
    """``prodigy.checkpoints/1``: of each run the newest first."""

    checkpoints: list[Checkpoint]


class CheckpointDocument(Struct, frozen=True, kw_only=True, tag_field="schema", tag="prodigy.checkpoint/1"):
    """``prodigy.checkpoint/1``: the run after the record ``seq``; of variables only the names."""

    id: str
    job_id: str
    seq: int
    created_at: datetime
    status: str
    phase: Phase | None
    phases: dict[str, str]
    current_step: str | None
    steps_done: int
    items: ItemCounts
    variables: list[str]
    branch: str
    tip: str | None
    open_intents: int
    dead_letters: int
    commits: int
    cost_usd: float


class Fault(Struct, frozen=True):
    """What is wrong with one file; ``path`` is that of a snapshot, or the folder of the journal."""

    path: str
    problem: str


class FaultsDocument(
    Struct, frozen=True, kw_only=True, tag_field="schema", tag="prodigy.checkpoint-faults/1"
):
    """``prodigy.checkpoint-faults/1``: what was found in so many runs; without faults they are as they were written."""

    runs: int
    valid: bool
    faults: list[Fault]


class DeletionDocument(Struct, frozen=True, tag_field="schema", tag="prodigy.checkpoint-deletion/1"):
    """``prodigy.checkpoint-deletion/1``: files, and their ``bytes`` together."""

    removed: list[str]
    bytes: int


def listed(runs: Iterable[Run]) -> CheckpointsDocument:
    """The snapshots of some runs."""
    return CheckpointsDocument(
        [_line(run, path) for run in runs for path in snapshots(run.layout, run.job_id)]
    )


def _line(run: Run, path: Path) -> Checkpoint:
    seq = seq_of(path)
    plain = Checkpoint(
        id=f"{run.job_id}@{seq}", job_id=run.job_id, seq=seq, path=str(path), bytes=path.stat().st_size
    )
    try:
        snapshot = snapshot_in(path)
        state = state_in(path, blank(path.parent))
    except Unusable as problem:
        return msgspec.structs.replace(plain, problem=str(problem))
    return msgspec.structs.replace(
        plain,
        created_at=snapshot.created_at,
        phase=state.phase,
        items_done=state.counts["done"],
        total_items=state.total,
    )


def shown(run: Run, seq: int | None) -> CheckpointDocument:
    """The newest snapshot of a run, or that of one record.

    Raises:
        UsageError: ``checkpoint-not-found``, ``checkpoint-unusable``.
    """
    path = _path(run, seq)
    try:
        snapshot = snapshot_in(path)
        state = state_in(path, blank(path.parent))
    except Unusable as problem:
        raise UsageError(
            "checkpoint-unusable", f"The snapshot tells nothing: {problem}", where=str(path)
        ) from None
    return CheckpointDocument(
        id=f"{run.job_id}@{snapshot.seq}",
        job_id=run.job_id,
        seq=snapshot.seq,
        created_at=snapshot.created_at,
        status=state.status,
        phase=state.phase,
        phases={name: phase.status for name, phase in state.phases.items()},
        current_step=state.current_step,
        steps_done=state.steps_done,
        items=item_counts(state),
        variables=variables_of(state),
        branch=state.branch,
        tip=state.tip,
        open_intents=len(state.intents) + len(state.git_intents),
        dead_letters=len(state.dead_letters),
        commits=state.commits,
        cost_usd=state.cost_usd,
    )


def validated(runs: Sequence[Run]) -> FaultsDocument:
    """Whether the journals of some runs and their snapshots are right; everything is read."""
    found = [
        Fault(str(path or run.layout.journal(run.job_id)), fault)
        for run in runs
        for path, fault in faults(run.layout, run.job_id)
    ]
    return FaultsDocument(runs=len(runs), valid=not found, faults=found)


def removed(runs: Iterable[Run], seq: int | None = None) -> DeletionDocument:
    """Remove the snapshots of some runs, or the one of a record.

    Raises:
        UsageError: ``checkpoint-not-found``.
    """
    gone, size = [], 0
    for run in runs:
        for path in [_path(run, seq)] if seq is not None else snapshots(run.layout, run.job_id):
            size += path.stat().st_size
            remove_file(path)
            gone.append(str(path))
    return DeletionDocument(gone, size)


def _path(run: Run, seq: int | None) -> Path:
    found = [path for path in snapshots(run.layout, run.job_id) if seq in {None, seq_of(path)}]
    if not found:
        which = "no snapshot" if seq is None else f"no snapshot of record {seq}"
        raise UsageError(
            "checkpoint-not-found",
            f"There is {which} of `{run.job_id}`",
            hint="`prodigy checkpoints list --all` shows what there is",
        )
    return found[0]
