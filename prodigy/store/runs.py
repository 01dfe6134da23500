"""Runs as they lie on disk: listing them, finding the one that is meant, knowing their state.

Reads only. The truth is in the journals; ``session_state.json`` spares reading one where it knows all of it. Whether a
run lives is asked of its lock, always *before* its records are read: a run that ends in between is then seen as ended,
never as interrupted.
"""

import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from msgspec import Struct
from msgspec.structs import replace

from prodigy import ids
from prodigy.errors import UsageError
from prodigy.ids import JobId, Kind, SessionId, Stem
from prodigy.job.state import Detached, Histories, JobState
from prodigy.job.summary import JobSummary, lived, summarize
from prodigy.paths import Layout, Storage
from prodigy.store.documents import (
    JobsDocument,
    LeftRunning,
    StatusDocument,
    WorktreeCounts,
    WorktreesDocument,
    WorktreeSession,
)
from prodigy.store.journal import JournalReader, read
from prodigy.store.locks import Holder, holder
from prodigy.store.session_state import remembered
from prodigy.store.storage import rooms

if TYPE_CHECKING:
    from prodigy.store.snapshots import Folded

LATEST = "latest"

_JOB = re.compile(r"(workflow|mapreduce)-\d{8}-\d{6}-[0-9a-z]{6}")
_SHORTEST_PREFIX = 3
_MANY = 10
_SECOND = len("20261122-081500")
"""Of a stem, what tells when its run began."""


class Run(Struct, frozen=True):
    """One run: the repository's folders and the job's name."""

    home: Path
    repo: str
    job_id: JobId
    local: Path | None = None
    """The project's folder, if it is kept there."""

    @property
    def layout(self) -> Layout:
        """Where its files lie."""
        return Layout(self.home, self.repo, self.local)

    @property
    def kind(self) -> Kind:
        """``workflow`` or ``mapreduce``."""
        return "mapreduce" if self.job_id.startswith("mapreduce-") else "workflow"

    @property
    def stem(self) -> Stem:
        """What all its names share."""
        return ids.stem_of(self.job_id)

    @property
    def session_id(self) -> SessionId:
        """Its session."""
        return ids.session_id(self.stem, self.kind)

    @property
    def names(self) -> tuple[str, ...]:
        """Everything that it can be called by."""
        return self.session_id, self.job_id, self.stem, ids.tail_of(self.stem)

    def histories(self) -> Histories:
        """Where it stands how the items of its dead letter queue failed."""
        from prodigy.store.lookup import Lookup  # lists know their runs without reading journals

        return Lookup(self.layout.journal(self.job_id)).history


class Found(Struct, frozen=True):
    """The run that was meant; ``elsewhere`` if it belongs to another repository than the one at hand."""

    run: Run
    elsewhere: bool = False


Fits = Callable[[JobSummary], bool]


def named_job(name: str) -> JobId | None:
    """The job that a folder is named after; ``None`` if it is named after something else."""
    return JobId(name) if _JOB.fullmatch(name) else None


# -- listing -------------------------------------------------------------------------------------------------------
def all_runs(storage: Storage, repo: str | None) -> list[Run]:
    """Runs of one repository, or of all with ``None``, newest first."""
    found = [
        Run(storage.home, name, job, storage.local)
        for name, room in rooms(storage, "events", repo)
        for folder in room.iterdir()
        if (job := named_job(folder.name)) is not None and folder.is_dir()
    ]
    seconds = Counter(_second(run) for run in found)

    def age(run: Run) -> tuple[str, str, Stem]:
        alone = seconds[_second(run)] == 1
        return _second(run), "" if alone else _first_segment(run), run.stem

    return sorted(found, key=age, reverse=True)


def _second(run: Run) -> str:
    """When it began; the rest of its name is chance."""
    return run.stem[:_SECOND]


def _first_segment(run: Run) -> str:
    """The name of its journal's first segment, which tells the millisecond; empty if there is none any more."""
    names = (path.name for path in run.layout.journal(run.job_id).glob("events-*.jsonl"))
    return min(names, default="")


# -- finding -------------------------------------------------------------------------------------------------------
def resolve(name: str, storage: Storage, repo: str | None, *, fits: Fits | None = None) -> Found:
    """The run that ``name`` means, in this repository or else in all.

    Args:
        name: a session, job, stem or tail, an unambiguous prefix of one of these, or ``latest``.
        storage: where runs are kept.
        repo: the repository at hand; ``None`` if nothing was ever run in it, or there is none.
        fits: which runs ``latest`` may mean; default: all.

    Raises:
        UsageError: ``run-not-found`` or ``ambiguous-run``.
    """
    here = all_runs(storage, repo) if repo is not None else []
    if name == LATEST:
        return Found(_latest(here, fits))
    if run := _named(name, here):
        return Found(run)
    everywhere = all_runs(storage, None)
    if run := _named(name, everywhere):
        return Found(run, elsewhere=True)
    raise UsageError("run-not-found", f"No run is called `{name}`", hint=_nearest(name, here or everywhere))


def _latest(runs: Iterable[Run], fits: Fits | None) -> Run:
    for run in runs:
        known = summary(run)
        if known is not None and (fits is None or fits(known)):
            return run
    raise UsageError(
        "run-not-found", "No run of this repository fits", hint="`prodigy status` shows what there is"
    )


def _named(name: str, runs: Iterable[Run]) -> Run | None:
    runs = list(runs)
    fitting = [run for run in runs if name in run.names]
    if not fitting and len(name) >= _SHORTEST_PREFIX:
        fitting = [run for run in runs if any(known.startswith(name) for known in run.names)]
    if len(fitting) > 1:
        candidates = ", ".join(f"`{run.job_id}` in {run.repo}" for run in fitting[:_MANY])
        raise UsageError(
            "ambiguous-run",
            f"`{name}` fits {len(fitting)} runs",
            note=f"newest first: {candidates}",
            hint="give more of the name",
        )
    return fitting[0] if fitting else None


def _nearest(name: str, runs: Iterable[Run]) -> str:
    from difflib import get_close_matches  # only on the way to an error

    names = [known for run in runs for known in run.names]
    near = get_close_matches(name, names, n=_SHORTEST_PREFIX)
    if near:
        return "did you mean " + " or ".join(f"`{known}`" for known in near)
    return "`prodigy status --all-repos` shows what there is"


# -- knowing -------------------------------------------------------------------------------------------------------
def records(run: Run) -> JournalReader:
    """The run's journal."""
    return read(run.layout.journal(run.job_id))


def load_state(run: Run) -> JobState:
    """The state of a run, from its journal.

    Raises:
        RunError: ``journal-corrupt`` or ``journal-newer``.
        UsageError: ``run-not-found``: not even the first record is on disk.
    """
    from prodigy.store.snapshots import opened  # lists know their runs without folding journals

    state = opened(run.layout, run.job_id).state
    if state.started is None:
        raise UsageError("run-not-found", f"Nothing is recorded of `{run.job_id}`")
    return state


def run_holder(run: Run) -> Holder | None:
    """The process that runs it right now."""
    return holder(run.layout.job_lock(run.job_id))


class Known(Struct, frozen=True):
    """What lists say of a run, and its whole state if it had to be read for that."""

    run: Run
    summary: JobSummary
    folded: "Folded | None" = None


def known(run: Run) -> Known | None:
    """What is known of a run; ``None`` if not even its first record is on disk."""
    return _known(run, behind=False)


def summary(run: Run) -> JobSummary | None:
    """What lists say of a run; ``None`` if not even its first record is on disk."""
    found = known(run)
    return None if found is None else found.summary


def glance(run: Run) -> JobSummary | None:
    """As ``summary``, and without reading the journal where that has gone on since (``stale``)."""
    found = _known(run, behind=True)
    return None if found is None else found.summary


def _known(run: Run, *, behind: bool) -> Known | None:
    holder, told = run_holder(run), _remembered(run, behind=behind)
    found = _read(run) if told is None else Known(run, told)
    if found is None:
        return None
    return replace(found, summary=lived(found.summary, holder.pid if holder else None))


def summaries(storage: Storage, repo: str | None) -> list[JobSummary]:
    """What lists say of all runs of one repository, or of all with ``None``; newest first."""
    every = (summary(run) for run in all_runs(storage, repo))
    return [found for found in every if found is not None]


def _remembered(run: Run, *, behind: bool) -> JobSummary | None:
    """What the session's file says; ``behind``: also where the journal has gone on since."""
    known = remembered(run.layout, run.job_id, run.session_id)
    if known is None or not (known.whole or behind):
        return None
    return replace(known.run, stale=not known.whole)


def _read(run: Run) -> Known | None:
    from prodigy.store.snapshots import folded  # as above

    found = folded(run.layout, run.job_id)
    state, problem = found.state, found.problem
    if problem is None:
        return Known(run, summarize(state, run.repo), found) if state.started else None
    told = summarize(state, run.repo) if state.started else _nameless(run)
    return Known(run, replace(told, status="corrupt", error=problem.message, eta_ms=None, next=None))


def _nameless(run: Run) -> JobSummary:
    """All that the name of a job says when its records do not."""
    began = datetime.strptime(_second(run), "%Y%m%d-%H%M%S").replace(tzinfo=UTC)
    return JobSummary(
        stem=run.stem,
        session_id=run.session_id,
        job_id=run.job_id,
        repo=run.repo,
        kind=run.kind,
        workflow="",
        workflow_path="",
        status="corrupt",
        branch=ids.session_branch(run.session_id),
        target="",
        started_at=began,
        updated_at=began,
    )


# -- documents -----------------------------------------------------------------------------------------------------
def status_document(storage: Storage, repo: str | None) -> StatusDocument:
    """``prodigy status``: made from the files of the sessions; a journal is read only where its session has none."""
    known = [found for run in all_runs(storage, repo) if (found := glance(run)) is not None]
    return StatusDocument(
        running=[run for run in known if run.live],
        resumable=[run for run in known if run.resumable],
        waiting=[replace(run, next=f"prodigy dlq retry {run.tail}") for run in known if run.waiting],
        unmerged=[run for run in known if run.unmerged],
        detached=[LeftRunning.of(run, one) for run in known for one in run.detached if _lives(one)],
    )


def _lives(one: Detached) -> bool:
    return Holder(pid=one.pid, start_time=one.start_time, boot_id=one.boot_id).alive()


def jobs_document(storage: Storage, repo: str | None, limit: int = 100) -> JobsDocument:
    """``prodigy events`` without a filter."""
    known = summaries(storage, repo)
    shown = known[:limit] if limit else known
    return JobsDocument(jobs=shown, total=len(known), shown=len(shown))


def with_dead_letters(storage: Storage, repo: str | None) -> Iterator[tuple[Run, JobState]]:
    """Every job that has dead letters, newest first; a journal that cannot be read is passed over."""
    for run in all_runs(storage, repo):
        known = summary(run)
        if known is not None and known.dlq_count and known.status != "corrupt":
            yield run, load_state(run)


def worktrees_document(storage: Storage, repo: str | None) -> WorktreesDocument:
    """``prodigy worktree ls``: what the records say; git knows the rest."""
    known = [run for run in summaries(storage, repo) if not run.branch_removed]
    ended = [run.status for run in known]
    return WorktreesDocument(
        sessions=[_session(run, storage) for run in known],
        summary=WorktreeCounts(
            total=len(known),
            in_progress=sum(run.live for run in known),
            interrupted=ended.count("interrupted") + ended.count("paused"),
            failed=ended.count("failed"),
            completed=ended.count("completed"),
        ),
    )


def _session(run: JobSummary, storage: Storage) -> WorktreeSession:
    items, layout, session = run.items, storage.layout(run.repo), SessionId(run.session_id)
    return WorktreeSession(
        session_id=run.session_id,
        status=run.status,
        workflow_path=run.workflow_path,
        workflow_args=list(run.arguments),
        started_at=run.started_at,
        last_activity=run.updated_at,
        current_step=run.current_step,
        total_steps=run.total_steps,
        error_summary=run.error,
        branch_name=run.branch,
        parent_branch=run.target,
        worktree_path=str(layout.session_worktree(session)),
        files_changed=run.files_changed,
        commits=run.commits,
        items_processed=items.done + items.failed + items.skipped,
        total_items=items.total,
        merged=run.merge == "merged",
        repo=run.repo,
    )
