"""What the runs of a repository still lay claim to: their journals decide which worktrees and branches are whose.

Reads only. Look at git and at the folders *before* the claims are read: a run records that it begins before it makes
anything, so whatever was there then and is claimed by nobody now, is nobody's.
"""

from collections.abc import Iterable
from typing import Literal

from msgspec import Struct

from prodigy import ids
from prodigy.job.summary import JobSummary
from prodigy.paths import Storage
from prodigy.store.runs import Run, all_runs, load_state, summary

Hold = Literal["all", "session", "nothing"]


class Claim(Struct, frozen=True, kw_only=True):
    """One run's claim.

    ``all`` is everything that bears its name: it runs, or nobody can read what it did. ``session`` is its session
    worktree, scratch worktrees, branches and the leased ``slots``: it has ended and can be gone on with, or merged.
    ``nothing``: it is over, and what it had was removed.
    """

    run: Run
    hold: Hold
    slots: tuple[str, ...] = ()
    """Paths of slots that an agent held when the run ended."""


class Claims(Struct, frozen=True):
    """The claims of all runs of one repository, by the tails of their names."""

    by_tail: dict[str, Claim]

    def run_of(self, tail: str) -> Run | None:
        """The run that a name's tail means, if a journal of it is there."""
        claim = self.by_tail.get(tail)
        return claim.run if claim is not None else None

    def holds_branch(self, tail: str) -> bool:
        """Whether a run of this tail lays claim to its branches."""
        claim = self.by_tail.get(tail)
        return claim is not None and claim.hold != "nothing"

    def holds_folder(self, tail: str, path: str, *, slot: bool) -> bool:
        """Whether a run of this tail lays claim to a worktree."""
        claim = self.by_tail.get(tail)
        if claim is None or claim.hold == "nothing":
            return False
        return claim.hold == "all" or not slot or path in claim.slots


def claims(storages: Iterable[Storage], repo: str) -> Claims:
    """The claims of every run of a repository, wherever it is kept."""
    found = ((one, summary(one)) for storage in storages for one in all_runs(storage, repo))
    return Claims({ids.tail_of(one.stem): _claim(one, known) for one, known in found})


def _claim(run: Run, known: JobSummary | None) -> Claim:
    if known is None or known.live or known.status == "corrupt":
        return Claim(run=run, hold="all")
    if known.branch_removed:
        return Claim(run=run, hold="nothing")
    leases = load_state(run).leases
    slots = tuple(str(run.layout.slot(run.session_id, number)) for number in leases)
    return Claim(run=run, hold="session", slots=slots)
