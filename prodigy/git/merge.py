"""Merging one commit into a branch in the object database, without checking out a file.

Rules: git's own merge (``git merge-tree``) decides, never libgit2's. The branch moves by compare-and-swap, so a tip
that somebody else moved meanwhile is merged with, not overwritten. Only after the branch is seen to contain the commit
is it called merged. A conflict is a value, not an error.
"""

from collections.abc import Mapping
from typing import Literal

from msgspec import Struct

from prodigy.errors import RunError
from prodigy.git import evidence
from prodigy.git.cli import Git, GitFailed, readable
from prodigy.git.objects import CommandLineObjects, Objects
from prodigy.git.patience import patiently
from prodigy.git.repository import ref_tip

Strategy = Literal["merge-tree", "fast-forward", "git", "nothing"]

_MAX_RACES = 20
_CONFLICTED = 1


class Merged(Struct, frozen=True):
    """The branch contains the commit, verified."""

    old: str
    new: str
    strategy: Strategy


class Conflict(Struct, frozen=True):
    """Both sides changed the same places; nothing was moved."""

    paths: tuple[str, ...]


async def merge(
    git: Git,
    target_ref: str,
    source: str,
    message: str,
    identity: Mapping[str, str],
    objects: Objects | None = None,
) -> Merged | Conflict:
    """Merge ``source`` into the branch ``target_ref``, which no worktree may have checked out.

    Args:
        git: in the repository; ``.gitattributes`` of its folder are heeded, so let it be a worktree of the branch.
        target_ref: full name, such as ``refs/heads/main``.
        source: full commit id.
        message: of the merge commit, if one is made.
        identity: environment that names author and committer where git has no name for them.
        objects: what answers about commits; git itself by default.

    Raises:
        RunError: ``merge-failed``: no such branch, unrelated histories, a tip that never stands still.
        GitFailed: git could not do it for another reason.
    """
    objects = objects or CommandLineObjects(git)
    for _ in range(_MAX_RACES):
        old = await ref_tip(git, target_ref)
        if old is None:
            raise RunError("merge-failed", f"{target_ref} does not exist")
        plan = await _plan(git, objects, old, source, message, identity)
        if isinstance(plan, Conflict):
            return plan
        if await _move(git, target_ref, plan):
            await verify(git, target_ref, source)
            return plan
    raise RunError("merge-failed", f"{target_ref} was moved by somebody else {_MAX_RACES} times in a row")


async def foretell(git: Git, tip: str, source: str) -> str | Conflict:
    """The tree that merging ``source`` into ``tip`` gives, or what conflicts; nothing is moved."""
    options = ("--write-tree", "-z", "--name-only", "--no-messages")
    done = await git.run("merge-tree", *options, tip, source, ok=(0, _CONFLICTED))
    tree, *paths = done.fields or [done.stdout.strip()]
    if done.code == _CONFLICTED:
        return Conflict(tuple(readable(path) for path in paths))
    return tree.decode()


async def verify(git: Git, target_ref: str, source: str) -> None:
    """Nothing, if the branch contains ``source`` now.

    Raises:
        RunError: ``merge-failed``.
    """
    if not await evidence.is_ancestor(git, source, target_ref):
        raise RunError("merge-failed", f"{target_ref} does not contain {source} after the merge")


async def _plan(
    git: Git,
    objects: Objects,
    old: str,
    source: str,
    message: str,
    identity: Mapping[str, str],
) -> Merged | Conflict:
    """Where the branch would go; objects may be made for it, nothing moves."""
    base = await objects.merge_base(old, source)
    if base is None:
        raise RunError("merge-failed", f"{source} has no history in common with the branch")
    if base == source:
        return Merged(old, old, "nothing")
    if base == old:
        return Merged(old, source, "fast-forward")
    tree = await foretell(git, old, source)
    if isinstance(tree, Conflict):
        return tree
    return Merged(old, await objects.commit(tree, (old, source), message, identity), "merge-tree")


async def _move(git: Git, ref: str, plan: Merged) -> bool:
    """Swap the ref from old to new; false if it was not at old any more."""
    if plan.new == plan.old:
        return True
    try:
        await patiently(
            lambda: git.run("update-ref", "-m", f"merge: {plan.strategy}", ref, plan.new, plan.old)
        )
    except GitFailed:
        if await ref_tip(git, ref) == plan.old:
            raise
        return False
    return True
