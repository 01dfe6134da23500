"""``worktree clean``: which sessions go, which stay and why."""

from collections.abc import Callable
from datetime import timedelta

from msgspec import Struct

from prodigy.cli.invocation import Invocation
from prodigy.cli.removal import Kept, Removed, removal, tell_removal
from prodigy.cli.session_facts import agents_places, session_facts, size_of
from prodigy.cli.text import counted
from prodigy.cli.upkeep import Upkeep
from prodigy.errors import ProdigyError
from prodigy.job.summary import JobSummary
from prodigy.store.runs import Run, load_state


class Wanted(Struct, frozen=True, kw_only=True):
    """What is to be removed.

    ``name`` is a run; without one it is every run of the repository, and ``every`` asks about those that still have
    value. ``force`` does not ask. ``agents_only`` leaves session worktrees and branches alone.
    """

    name: str | None = None
    every: bool = False
    force: bool = False
    merged_only: bool = False
    agents_only: bool = False
    older_than: timedelta | None = None
    dry_run: bool = False
    all_repos: bool = False


def clean_sessions(invocation: Invocation, wanted: Wanted) -> int:
    """Remove what sessions left that have ended; what is not merged is rescued first.

    1 if somebody said no, or something could not be removed.
    """
    removed, kept, code = collect_sessions(invocation, wanted)
    document = removal(removed, kept, dry_run=wanted.dry_run)
    tell_removal(invocation, document, "No session has a branch or a worktree")
    return code


def collect_sessions(invocation: Invocation, wanted: Wanted) -> tuple[list[Removed], list[Kept], int]:
    """As ``clean_sessions``, and nothing is printed: what is gone, what stays, the exit code."""
    return _Cleaning(invocation, wanted).clean()


class _Cleaning:
    """One call of the verb."""

    def __init__(self, invocation: Invocation, wanted: Wanted) -> None:
        self._invocation = invocation
        self._wanted = wanted
        self._upkeep = Upkeep(invocation)
        self._removed: list[Removed] = []
        self._kept: list[Kept] = []
        self._code = 0

    def clean(self) -> tuple[list[Removed], list[Kept], int]:
        wanted = self._wanted
        for run, known in list(self._upkeep.candidates(wanted.name, self._fits, all_repos=wanted.all_repos)):
            try:
                self._session(run, known)
            except ProdigyError as error:
                if wanted.name is not None or error.code == "confirmation-needed":
                    raise
                self._keep(known, f"{error.code}: {error.message}", code=1)
        return self._removed, self._kept, self._code

    @property
    def _fits(self) -> Callable[[JobSummary], bool]:
        if self._wanted.agents_only:
            return lambda known: known.kind == "mapreduce" and not known.branch_removed
        return lambda known: not known.branch_removed

    def _session(self, run: Run, known: JobSummary) -> None:
        wanted = self._wanted
        if wanted.agents_only and not agents_places(run.layout, run.session_id):
            return
        why = self._why_kept(run, known)
        if why is not None:
            self._keep(known, why)
        elif wanted.dry_run:
            self._removed.append(Removed(what=known.session_id, bytes=self._size(run)))
        elif not wanted.force and self._has_value(run, known) and not self._agreed(known):
            self._keep(known, "you said no", code=1)
        else:
            self._removed.append(self._remove(run, known))

    def _why_kept(self, run: Run, known: JobSummary) -> str | None:
        """Why a session stays; ``None`` if it may go."""
        wanted = self._wanted
        if known.live:
            return "it is running: `prodigy stop` ends it"
        if (
            wanted.older_than is not None
            and known.updated_at > self._invocation.around.now() - wanted.older_than
        ):
            return "not old enough"
        if wanted.merged_only and known.merge != "merged" and not self._merged_by_hand(run, known):
            return "it is not merged"
        asked_for = wanted.name is not None or wanted.every or wanted.force
        if not asked_for and self._has_value(run, known):
            return "it has work that is not merged; `--force` removes it and keeps the work under rescue refs"
        return None

    def _has_value(self, run: Run, known: JobSummary) -> bool:
        """Whether something would have to be rescued: work that is not merged, or agents cut off in the middle."""
        if self._wanted.agents_only:
            state = load_state(run)
            return bool(state.leases) or any(item.resolution is not None for item in state.items.at_work())
        if known.merge in {"merged", "nothing"}:
            return False
        return known.status != "completed" or (known.commits > 0 and not self._merged_by_hand(run, known))

    def _merged_by_hand(self, run: Run, known: JobSummary) -> bool:
        """Whether the branch to merge into has it all, though no merge of ours is recorded, and nothing is uncommitted."""
        if known.status != "completed" or not known.commits:
            return False
        environ = self._invocation.around.environ
        facts = session_facts(run.layout, run.session_id, known.branch, known.target, environ)
        return facts.ahead == 0 and facts.dirty is not True

    def _agreed(self, known: JobSummary) -> bool:
        if self._wanted.agents_only:
            return self._upkeep.confirmed(f"Remove what agents of {known.session_id} left in the middle?")
        not_merged = f"{known.status}, {counted(known.commits, 'commit')} not merged"
        return self._upkeep.confirmed(f"Remove {known.session_id} ({not_merged})?")

    def _remove(self, run: Run, known: JobSummary) -> Removed:
        size = self._size(run)
        state = self._upkeep.take_up(run, "clean-agents" if self._wanted.agents_only else "clean")
        return Removed(what=known.session_id, bytes=size, rescue_refs=tuple(state.rescue_refs))

    def _size(self, run: Run) -> int:
        return size_of(run.layout, run.session_id, agents_only=self._wanted.agents_only)

    def _keep(self, known: JobSummary, why: str, *, code: int = 0) -> None:
        self._kept.append(Kept(what=known.session_id, why=why))
        self._code = max(self._code, code)
