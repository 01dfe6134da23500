"""Worktrees, what is kept of them, and what steps did to what they share."""

from typing import Literal

from prodigy.events.parts import Event, Phase


class WorktreeCreateIntended(Event, frozen=True, kw_only=True, tag="worktree_create_intended"):
    """A worktree is about to be made."""

    path: str
    branch: str | None
    base_commit: str


class WorktreeCreated(Event, frozen=True, kw_only=True, tag="worktree_created"):
    """A worktree exists."""

    intent: int
    path: str


class WorktreeCreateFailed(Event, frozen=True, kw_only=True, tag="worktree_create_failed"):
    """A worktree could not be made."""

    intent: int
    path: str
    message: str


class WorktreeLeased(Event, frozen=True, kw_only=True, tag="worktree_leased"):
    """A pooled worktree, verified clean, was given to an agent."""

    slot: int
    item_id: str
    agent_id: str
    base_commit: str


class WorktreeReleased(Event, frozen=True, kw_only=True, tag="worktree_released"):
    """A pooled worktree came back."""

    slot: int
    item_id: str
    agent_id: str


class WorktreeRescued(Event, frozen=True, kw_only=True, tag="worktree_rescued"):
    """Unmerged work was put under a ref, before the reset that would have lost it."""

    ref: str
    sha: str
    reason: str
    item_id: str | None = None
    agent_id: str | None = None
    files: tuple[str, ...] = ()
    """What it changes, 200 paths at most."""
    submodule: str = ""
    """The submodule that it was made in, whose own repository the ref is in."""
    uncommitted: bool = False
    """Whether some of it was not committed."""


class SharedStateChanged(Event, frozen=True, kw_only=True, tag="shared_state_changed"):
    """While steps ran, something changed that their worktree shares with the user's checkout, or that checkout itself.

    ``names`` are settings, messages of stash entries, refs, or ``HEAD`` and paths. ``undone``: it is as it was before.
    """

    what: Literal["config", "stash", "refs", "checkout"]
    names: tuple[str, ...]
    phase: Phase
    undone: bool = False
    agent_id: str | None = None


class WorktreeRemoveIntended(Event, frozen=True, kw_only=True, tag="worktree_remove_intended"):
    """A worktree and branches are about to be removed."""

    path: str
    branches: tuple[str, ...] = ()


class WorktreeCleaned(Event, frozen=True, kw_only=True, tag="worktree_cleaned"):
    """They are gone."""

    intent: int
    path: str
    branches: tuple[str, ...] = ()


WorktreeEvent = (
    WorktreeCreateIntended
    | WorktreeCreated
    | WorktreeCreateFailed
    | WorktreeLeased
    | WorktreeReleased
    | WorktreeRescued
    | SharedStateChanged
    | WorktreeRemoveIntended
    | WorktreeCleaned
)
