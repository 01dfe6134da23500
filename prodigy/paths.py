"""Where everything lies under Prodigy's home folder.

Pure: computes paths, touches nothing. The home is ``PRODIGY_HOME``, else ``~/.prodigy``; ``repo`` is the name under
which the repository is registered there (``store.repos`` keeps two repositories of one name apart). What is kept of
runs may lie in the project's own folder instead; worktrees, locks and sockets never do.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

from msgspec import Struct

from prodigy.ids import JobId, SessionId, stem_of

PROJECT_FOLDER: Final = ".prodigy"
"""At the top of a project: its configuration and, where that is wanted, what is kept of its runs."""


def home(environ: Mapping[str, str]) -> Path:
    """The base folder of everything Prodigy keeps, by the one name that git has for it too: without links."""
    chosen = environ.get("PRODIGY_HOME") or Path(environ.get("HOME", "~"), ".prodigy")
    return Path(chosen).expanduser().resolve()


class Storage(Struct, frozen=True):
    """Where runs are kept: those of all repositories under home, or those of ``repo`` in its project's folder."""

    home: Path
    local: Path | None = None
    """That folder; ``None``: under home."""
    repo: str | None = None
    """The repository whose project it is; ``None`` if it has no name yet."""

    def layout(self, repo: str) -> "Layout":
        """The folders of one repository."""
        return Layout(self.home, repo, self.local)


class Layout(Struct, frozen=True):
    """The folders of one repository under one home, with what is kept of its runs in ``local`` if that is given."""

    home: Path
    repo: str
    local: Path | None = None

    def _room(self, name: str, *below: str) -> Path:
        if self.local is None:
            return Path(self.home, name, self.repo, *below)
        return Path(self.local, name, *below)

    # -- shared by all jobs ------------------------------------------------------------------------------------
    @property
    def events(self) -> Path:
        """One folder per job."""
        return self._room("events")

    @property
    def worktrees(self) -> Path:
        """One folder per session, besides ``.pool``, ``.scratch`` and ``.metadata``."""
        return Path(self.home, "worktrees", self.repo)

    @property
    def git_lock(self) -> Path:
        """Held for each change of worktrees or refs, so that several runs on one repository do not race."""
        return self.home / "locks" / self.repo / "git.lock"

    # -- one job -----------------------------------------------------------------------------------------------
    def journal(self, job: JobId) -> Path:
        """Folder of ``events-{stamp}.jsonl`` segments."""
        return self._room("events", job)

    def dead_letters(self, job: JobId) -> Path:
        """Folder of one JSON file per dead letter."""
        return self._room("dlq", job, "items")

    def state(self, job: JobId) -> Path:
        """Folder of ``job.json``, ``workflow.yml`` and ``results.json``."""
        kind = "mapreduce" if job.startswith("mapreduce-") else "workflow"
        return self._room("state", kind, "jobs", job)

    def excludes(self, job: JobId) -> Path:
        """What git ignores in the worktrees of the job: the user's own patterns and the job's."""
        return self.state(job) / "excludes"

    def included(self, job: JobId) -> Path:
        """Copies of the untracked files that every worktree of the job gets."""
        return self.state(job) / "included"

    def logs(self, job: JobId) -> Path:
        """Folder of all that the job's steps printed."""
        return self._room("logs", job)

    def step_logs(self, job: JobId, phase: str, item: str | None = None, attempt: int = 1) -> Path:
        """Folder of what the steps of a phase, or of an attempt at an item, printed: ``NN-{kind}.{out,err}``."""
        return Path(self.logs(job), phase, item or "-", str(attempt))

    def job_lock(self, job: JobId) -> Path:
        """Held by the process that runs the job."""
        return Path(self.home, "locks", self.repo, f"{job}.lock")

    def workers_lock(self, job: JobId) -> Path:
        """Held, shared, by each worker until its process trees are dead."""
        return self.home / "locks" / self.repo / f"{job}.workers"

    def stop_request(self, job: JobId) -> Path:
        """Where whoever wants the run to end says so, before it signals the process that holds it."""
        return self.home / "locks" / self.repo / f"{job}.stop"

    def control_socket(self, job: JobId) -> Path:
        """Where the process that runs the job answers questions."""
        return self.home / "run" / f"{stem_of(job)}.sock"

    # -- one session -------------------------------------------------------------------------------------------
    def session_state(self, session: SessionId) -> Path:
        """The projection for people and for ``status``."""
        return self._room("sessions", session, "session_state.json")

    def session_worktree(self, session: SessionId) -> Path:
        """The worktree that setup and reduce run in, and that agents' work is merged into."""
        return self.worktrees / session

    def slot(self, session: SessionId, number: int) -> Path:
        """One pooled worktree for agents."""
        return Path(self.worktrees, ".pool", session, f"slot-{number:02d}")

    def scratch(self, session: SessionId) -> Path:
        """Where what a merge would give is verified."""
        return self.worktrees / ".scratch" / session

    def bench(self, session: SessionId) -> Path:
        """Where merges that need files are made."""
        return self.worktrees / ".scratch" / f"{session}-merges"

    def worktree_record(self, session: SessionId) -> Path:
        """What is known of the session worktree; outlives it."""
        return self.worktrees / ".metadata" / f"{session}.json"


def worth_reading(logs: Sequence[str]) -> str | None:
    """Of the logs of a failed step the one to look into: what went to stderr; of Claude, who says nothing there, the first."""
    of_errors = (log for log in logs if log.endswith(".err") and "-claude." not in Path(log).name)
    return next(of_errors, logs[0] if logs else None)
