"""Files made from the state of a run, for people and for readers in a hurry.

Every one of them can be deleted and nothing is lost: readers fall back on the journal. Nothing is ever decided by them.
``session_state.json`` names the last record it knows, so that readers see when it is stale.
"""

import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import msgspec
from msgspec import Struct

from prodigy import events
from prodigy.decoding import JsonDecoder
from prodigy.errors import ProdigyError
from prodigy.events import Record
from prodigy.ids import JobId, SessionId
from prodigy.job.results import ItemResult, item_results
from prodigy.job.state import AT_REST, JobState
from prodigy.job.summary import recorded
from prodigy.paths import Layout
from prodigy.store.atomic import remove_file, write_file, write_parts
from prodigy.store.dead_letters import dead_letter_file
from prodigy.store.journal import journal_size
from prodigy.store.lookup import Lookup
from prodigy.store.repos import registry
from prodigy.store.session_state import JournalPosition, session_state

_EVERY = timedelta(seconds=1)
_TURNS = (
    events.JobStarted
    | events.PhaseStarted
    | events.PhaseCompleted
    | events.PhaseFailed
    | events.JobPaused
    | events.DlqItemsEvicted
    | events.DlqRetryStarted
    | events.JobCompleted
    | events.JobFailed
    | events.MergePrompted
    | events.WorktreeCleaned
)
"""What must show at once, besides the outcomes of final merges."""


class WorktreeStats(Struct, frozen=True, kw_only=True):
    """What the session branch holds."""

    files_changed: int
    commits: int
    last_commit_sha: str | None


class WorktreeRecord(Struct, frozen=True, kw_only=True):
    """``.metadata/{session}.json``: what is known of a session worktree; outlives it."""

    v: int = 1
    session_id: str
    worktree_name: str
    branch: str
    original_branch: str
    target_fallback: str | None
    base_commit: str
    created_at: datetime
    updated_at: datetime
    status: str
    path: str
    job_id: str
    repo_git_dir: str | None
    slots: int
    stats: WorktreeStats
    merged: bool
    merged_at: datetime | None
    merge_commit: str | None
    merge_prompt_shown: bool
    merge_prompt_response: str | None
    interrupted_at: datetime | None
    error: str | None
    resumable: bool


class Projections:
    """Keeps the files of one run in line with its state.

    Args:
        layout: where they lie.
        now: the present time; ``session_state.json`` is written at most once a second, and at every turn.
        pid: of the process that runs the job.
    """

    def __init__(
        self,
        layout: Layout,
        now: Callable[[], datetime],
        *,
        pid: int | None = None,
    ) -> None:
        self._layout = layout
        self._now = now
        self._pid = os.getpid() if pid is None else pid
        self._written: datetime | None = None
        self._seq = 0
        self._journal: Lookup | None = None
        self.problem: ProdigyError | OSError | None = None
        """The last failure to write; a projection that is missing or stale costs readers time, not truth."""

    def heard(self, state: JobState, record: Record) -> None:
        """Write what ``record``, already in ``state``, changes. Never raises for what the disk refuses."""
        if state.started is None:
            return
        try:
            self._follow(state, record.event)
        except (ProdigyError, OSError) as problem:
            self.problem = problem

    def _follow(self, state: JobState, event: events.AnyEvent) -> None:
        match event:
            case events.JobResumed():
                self.write_everything(state)
            case events.DlqItemAdded(item_id=item_id, history=history):
                self.write_dead_letter(state, item_id, history)
            case events.DlqItemUpdated(item_id=item_id) | events.DlqItemRemoved(item_id=item_id):
                self.write_dead_letter(state, item_id)
            case events.DlqItemsReprocessed():
                for letter in state.dead_letters.values():
                    if letter.seq == state.seq:
                        self.write_dead_letter(state, letter.item_id)
            case events.PhaseCompleted(phase="map") | events.PhaseFailed(phase="map"):
                self.write_results(state)
            case _:
                pass
        final = getattr(event, "what", None) == "final" and not isinstance(event, events.MergeIntended)
        if final or isinstance(event, _TURNS):
            self.write_worktree_record(state)
            self.write_session_state(state)
        elif self._written is None or self._now() - self._written >= _EVERY:
            self.write_session_state(state)

    def catch_up(self, state: JobState) -> None:
        """Write ``session_state.json`` if records came since. Never raises for what the disk refuses.

        Somebody has to call it from time to time: the file is written when a record comes, but not for every one.
        """
        if state.started is None or state.seq == self._seq:
            return
        try:
            self.write_session_state(state)
        except (ProdigyError, OSError) as problem:
            self.problem = problem

    def write_everything(self, state: JobState) -> None:
        """All files of the run anew, besides what was asked; dead letters that left the queue are removed."""
        folder = self._layout.dead_letters(_job(state))
        for path in _json_files(folder):
            if path.stem not in state.dead_letters:
                remove_file(path)
        for item_id in state.dead_letters:
            if not self._mirrored(state, item_id):
                self.write_dead_letter(state, item_id)
        phase = state.phases.get("map")
        if phase is not None and phase.status != "running":
            self.write_results(state)
        self.write_worktree_record(state)
        self.write_session_state(state)

    def write_session_state(self, state: JobState) -> None:
        """``session_state.json``."""
        self._written = self._now()
        session = SessionId(recorded(state.started).session_id)
        position = JournalPosition(state.seq, journal_size(self._layout.journal(_job(state))))
        document = session_state(state, self._layout, position, self._pid)
        _write(self._layout.session_state(session), document)
        self._seq = state.seq

    def write_worktree_record(self, state: JobState) -> None:
        """``.metadata/{session}.json``."""
        session = SessionId(recorded(state.started).session_id)
        known = registry(self._layout.home).repos.get(self._layout.repo)
        _write(
            self._layout.worktree_record(session),
            _worktree_record(state, self._layout, known.git_dir if known else None),
        )

    def write_dead_letter(
        self, state: JobState, item_id: str, history: Sequence[events.Attempt] | None = None
    ) -> None:
        """The file of one item: written if the item is in the queue, else removed; ``history`` if that is known."""
        path = self._layout.dead_letters(_job(state)) / f"{item_id}.json"
        letter = state.dead_letters.get(item_id)
        if letter is not None:
            attempts = self._lookup(state).history(state.items[item_id]) if history is None else history
            _write(path, dead_letter_file(state, letter, attempts))
        elif path.exists():
            remove_file(path)

    def _lookup(self, state: JobState) -> Lookup:
        if self._journal is None:
            self._journal = Lookup(self._layout.journal(_job(state)))
        return self._journal

    def _mirrored(self, state: JobState, item_id: str) -> bool:
        """Whether the file of an item in the queue is as it should be; reading thousands is quick, writing is not."""
        letter = state.dead_letters.get(item_id)
        with suppress(OSError, msgspec.DecodeError):
            content = (self._layout.dead_letters(_job(state)) / f"{item_id}.json").read_bytes()
            return letter is not None and _read_number(content).seq == letter.seq
        return False

    def write_results(self, state: JobState) -> Path:
        """``results.json``, which the phases after map find under ``${map.results_file}``."""
        path = self._layout.state(_job(state)) / "results.json"
        write_parts(path, _listed(item_results(state)))
        return path


def _json_files(folder: Path) -> Iterator[Path]:
    """The JSON files of a folder, never all at once."""
    with suppress(FileNotFoundError), os.scandir(folder) as entries:
        for entry in entries:
            if entry.name.endswith(".json"):
                yield folder / entry.name


def _listed(results: Iterable[ItemResult]) -> Iterator[bytes]:
    """A list as JSON, one by one."""
    before = b"["
    for result in results:
        yield before + msgspec.json.encode(result)
        before = b","
    yield b"]\n" if before == b"," else b"[]\n"


class _Numbered(Struct):
    seq: int


_read_number = JsonDecoder(_Numbered)


def _job(state: JobState) -> JobId:
    return JobId(recorded(state.started).job_id)


def _worktree_record(state: JobState, layout: Layout, git_dir: str | None) -> WorktreeRecord:
    started = recorded(state.started)
    return WorktreeRecord(
        session_id=started.session_id,
        worktree_name=started.session_id,
        branch=state.branch,
        original_branch=started.original_branch,
        target_fallback=started.target_fallback,
        base_commit=state.base_commit or started.base_commit,
        created_at=recorded(state.started_at),
        updated_at=recorded(state.updated_at),
        status=_worktree_status(state),
        path=str(layout.session_worktree(SessionId(started.session_id))),
        job_id=started.job_id,
        repo_git_dir=git_dir,
        slots=state.max_parallel,
        stats=WorktreeStats(
            files_changed=len(state.files_changed), commits=state.commits, last_commit_sha=state.tip
        ),
        merged=state.merge == "merged",
        merged_at=state.merged_at,
        merge_commit=state.merge_commit,
        merge_prompt_shown=state.merge_answer in {"yes", "no", "eof"},
        merge_prompt_response=state.merge_answer,
        interrupted_at=state.ended_at if state.status in AT_REST else None,
        error=state.error.message if state.error else None,
        resumable=state.status in {"failed", *AT_REST} and not state.branch_removed,
    )


def _worktree_status(state: JobState) -> str:
    if state.merge == "merged":
        return "merged"
    if state.branch_removed and state.status != "completed":
        return "abandoned"
    if state.status == "paused":
        return "interrupted"
    return "in_progress" if state.status in {"starting", "running"} else state.status


def _write(path: Path, document: Any) -> None:
    write_file(path, msgspec.json.format(msgspec.json.encode(document), indent=2) + b"\n")
