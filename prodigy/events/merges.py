"""Merges, conflicts, and the question at the end."""

from typing import Literal

from msgspec import field

from prodigy.events.agents import AttemptEvent
from prodigy.events.parts import ErrorClass, Event, Failure


class MergeEvent(Event, frozen=True, kw_only=True):
    """What all events of a merge carry; ``item_id`` and ``agent_id`` are absent for the final one."""

    what: Literal["agent", "final"]
    target_branch: str
    item_id: str | None = None
    agent_id: str | None = None


class MergeIntended(MergeEvent, frozen=True, kw_only=True, tag="merge_intended"):
    """A branch is about to move."""

    source: str
    expected_old: str


class WorktreeMerged(MergeEvent, frozen=True, kw_only=True, tag="worktree_merged"):
    """The branch moved and contains the source, verified."""

    intent: int
    old: str
    new: str
    strategy: Literal["merge-tree", "fast-forward", "git", "nothing", "already", "claude"]
    """``nothing``: there was nothing to merge; ``already``: somebody had merged it before, such as a ``merge`` step."""


class MergeConflicted(MergeEvent, frozen=True, kw_only=True, tag="merge_conflicted"):
    """The source and the target changed the same places."""

    intent: int
    paths: tuple[str, ...]
    policy: Literal["claude", "rerun", "dlq"] | None = None
    """What the workflow wants done about it."""


class MergeFailed(MergeEvent, frozen=True, kw_only=True, tag="merge_failed"):
    """The merge was refused, or git could not do it, for a reason other than a conflict."""

    intent: int
    message: str
    error_class: ErrorClass = field(name="class", default="worktree-error")


class ConflictForeseen(AttemptEvent, frozen=True, kw_only=True, tag="conflict_foreseen"):
    """What an agent has committed so far could not be merged into ``onto``; without paths: by now it could be again."""

    source: str
    onto: str
    target_branch: str
    paths: tuple[str, ...] = ()


class ConflictResolutionStarted(MergeEvent, frozen=True, kw_only=True, tag="conflict_resolution_started"):
    """Claude is about to resolve a conflict, in a worktree of its own."""

    source: str
    onto: str
    """The tip that ``source`` collides with."""
    paths: tuple[str, ...]


class ConflictResolved(MergeEvent, frozen=True, kw_only=True, tag="conflict_resolved"):
    """It did, and the result was checked: ``commit`` merges ``source`` into ``onto``. No branch has moved yet."""

    source: str
    onto: str
    commit: str


class ConflictResolutionFailed(MergeEvent, frozen=True, kw_only=True, tag="conflict_resolution_failed"):
    """It did not, or its result was refused."""

    error: Failure
    rescue_ref: str | None = None
    """Where what it left is kept."""


class MergePrompted(Event, frozen=True, kw_only=True, tag="merge_prompted"):
    """The final merge was asked about, or answered ahead."""

    target: str
    answer: Literal["yes", "no", "eof", "no-tty", "flag-yes", "flag-no"]


AnyMergeEvent = (
    MergeIntended
    | WorktreeMerged
    | MergeConflicted
    | MergeFailed
    | ConflictForeseen
    | ConflictResolutionStarted
    | ConflictResolved
    | ConflictResolutionFailed
    | MergePrompted
)
