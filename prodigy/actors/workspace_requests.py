"""What can be asked of the workspaces actor."""

import msgspec

from prodigy import ids
from prodigy.actors.returning import Cut
from prodigy.actors.shared_state import Whose
from prodigy.actors.slots import Condition, Leased
from prodigy.git.resolution import Begun
from prodigy.git.traces import Residue
from prodigy.job.standing import Standing
from supervisors import ActorRef, Reply


class OpenSession(msgspec.Struct, frozen=True):
    """Make the session worktree unless it is there; the answer is its path."""

    reply: Reply[str]


class DetachSession(msgspec.Struct, frozen=True):
    """Let go of the session branch, so that the merger can move it."""

    reply: Reply[None]


class AttachSession(msgspec.Struct, frozen=True):
    """Stand on the session branch again, with its files."""

    reply: Reply[None]


class RestoreSession(msgspec.Struct, frozen=True):
    """Keep what a lost worker left, then go back to ``head``."""

    head: str
    reason: str
    reply: Reply[None]


class ClearSession(msgspec.Struct, frozen=True):
    """Let the session worktree stand off its branch, with nothing that an interruption left."""

    reply: Reply[None]


class GoOn(msgspec.Struct, frozen=True):
    """Make a worktree fit for interrupted steps to go on; the answer says where they do."""

    cut: Cut
    reply: Reply[Standing]


class Reclaim(msgspec.Struct, frozen=True):
    """Free the slots of agents that are gone and will not go on."""

    gone: frozenset[str]
    reply: Reply[None]


class OpenScratch(msgspec.Struct, frozen=True):
    """Make a worktree beside the session's, detached at ``commit``; the answer is its path."""

    commit: str
    reply: Reply[str]


class WantedMerge(msgspec.Struct, frozen=True, kw_only=True):
    """A merge that conflicts, to be made in the scratch worktree; ``item_id`` is absent for the final one."""

    source: str
    onto: str
    message: str
    """What the merge commit says if its maker has nothing better; it ends in the trailers."""
    item_id: str | None = None
    agent_id: str | None = None
    attempt: int = 1


class BeginMerge(msgspec.Struct, frozen=True):
    """Begin it; what an interrupted one left is kept first."""

    wanted: WantedMerge
    reply: Reply[Begun]


class FindMerge(msgspec.Struct, frozen=True):
    """Look whether an interrupted one stands as recorded, at ``head``; the answer is its worktree if it does."""

    head: str
    reply: Reply[str | None]


class ConcludeMerge(msgspec.Struct, frozen=True):
    """Check what was made of it; the answer is the commit to merge."""

    wanted: WantedMerge
    begun: Begun
    reply: Reply[str]


class LeaveMerge(msgspec.Struct, frozen=True):
    """Give it up: keep what was made of it, remove the worktree; the answer is the ref, if there was anything."""

    wanted: WantedMerge
    reason: str
    reply: Reply[str | None]


class CloseScratch(msgspec.Struct, frozen=True):
    """Remove that worktree, with whatever it holds."""

    reply: Reply[None]


class CloseSession(msgspec.Struct, frozen=True):
    """Remove every worktree and branch of the run; what is not merged is kept under refs first.

    ``forced`` also removes slots that hold what could not be rescued.
    """

    forced: bool
    reply: Reply[None]


class ClearAgents(msgspec.Struct, frozen=True):
    """Remove the agents' slots and the scratch worktrees; what was cut off in them is kept under refs first."""

    reply: Reply[None]


class TidyAgents(msgspec.Struct, frozen=True):
    """Remove the slots that nobody holds, and the agents' branches that are merged."""

    reply: Reply[None]


class Lease(msgspec.Struct, frozen=True):
    """Give an agent a clean worktree at ``base`` on a new branch."""

    item_id: str
    agent_id: ids.AgentId
    branch: str
    base: str
    reply: Reply[Leased]


class Rescue(msgspec.Struct, frozen=True):
    """Keep what an attempt made beyond ``base`` under a ref; the answer is the ref, if anything was there."""

    leased: Leased
    attempt: int
    base: str
    reason: str
    reply: Reply[str | None]


class Release(msgspec.Struct, frozen=True):
    """Take a slot back."""

    leased: Leased
    condition: Condition
    residue: Residue | None
    """How it is not as when it was leased; ``None`` if nobody knows."""
    reply: Reply[None]


class SetupDue(msgspec.Struct, frozen=True):
    """Ask whether a worktree has to be set up; the answer says for which files, or ``None``."""

    path: str
    reply: Reply[str | None]


class SetupDone(msgspec.Struct, frozen=True):
    """A worktree was set up for ``key``."""

    path: str
    key: str
    reply: Reply[None]


class Ended(msgspec.Struct, frozen=True):
    """Somebody's steps ended: look at what they changed beside their worktree."""

    whose: Whose
    reply: Reply[None]


class CompareCheckout(msgspec.Struct, frozen=True):
    """The run's own steps have ended: tell what became of the user's checkout since it began."""

    reply: Reply[None]


class Forget(msgspec.Struct, frozen=True):
    """A branch is merged: delete it when there is a moment."""

    branch: str


class LeaseNoMore(msgspec.Struct, frozen=True):
    """Nothing is recorded any more: nobody is to wait for a slot."""


Message = (
    OpenSession
    | DetachSession
    | AttachSession
    | RestoreSession
    | ClearSession
    | GoOn
    | Reclaim
    | OpenScratch
    | BeginMerge
    | FindMerge
    | ConcludeMerge
    | LeaveMerge
    | CloseScratch
    | CloseSession
    | ClearAgents
    | TidyAgents
    | CompareCheckout
    | Lease
    | Rescue
    | Release
    | SetupDue
    | SetupDone
    | Ended
    | Forget
    | LeaseNoMore
)
WorkspacesRef = ActorRef[Message]
