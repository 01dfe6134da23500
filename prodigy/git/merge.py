"""Merging one commit into a branch that nobody has checked out.

Rules: git's own merge decides, never libgit2's: ``git merge-tree`` in the object database, and ``git merge`` in a
worktree where the repository wants a say in it (`prodigy.git.customs`). The branch moves by compare-and-swap, so a tip
that somebody else moved meanwhile is merged with, not overwritten. Only after the branch is seen to contain the commit
is it called merged. A conflict is a value, not an error.
"""

from collections.abc import Mapping
from typing import Literal

from msgspec import Struct

from prodigy.errors import RunError
from prodigy.git import evidence
from prodigy.git.attributes import Attributes, attribute_folder
from prodigy.git.cli import Git, readable
from prodigy.git.forge import Forge
from prodigy.git.letter_case import same_but_for_case

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


async def merge(forge: Forge, target_ref: str, source: str, message: str) -> Merged | Conflict:
    """Merge ``source`` into the branch ``target_ref``, which no worktree may have checked out.

    Args:
        forge: of the repository.
        target_ref: full name, such as ``refs/heads/main``.
        source: full commit id.
        message: of the merge commit, if one is made.

    Raises:
        RunError: ``merge-failed``: no such branch, unrelated histories, a tip that never stands still;
            ``merge-refused``: a hook, or the like, said no.
        GitFailed: git could not do it for another reason.
    """
    git = forge.git
    for _ in range(_MAX_RACES):
        old = await forge.tips.at(target_ref)
        if old is None:
            raise RunError("merge-failed", f"{target_ref} does not exist")
        plan = await _plan(forge, old, source, message)
        if isinstance(plan, Merged) and await forge.customs.ignores_case():
            plan = await _distinct(git, plan)
        if isinstance(plan, Conflict):
            return plan
        moved = plan.new == plan.old or await forge.tips.swap(
            target_ref, old, plan.new, f"merge: {plan.strategy}"
        )
        if moved:
            await _require_contained(forge, target_ref, source)
            return plan
    raise RunError("merge-failed", f"{target_ref} was moved by somebody else {_MAX_RACES} times in a row")


async def foretell(forge: Forge, tip: str, source: str) -> str | Conflict:
    """The tree that merging ``source`` into ``tip`` gives, or what conflicts; nothing is moved."""
    return await _merged_tree(forge, await forge.attributes.at(tip), tip, source)


async def foretell_here(git: Git, tip: str, source: str) -> str | Conflict:
    """As `foretell`, with the attribute files that lie in the worktree of ``git``."""
    return await _merge_tree(git, tip, source, {})


async def verify(git: Git, target_ref: str, source: str) -> None:
    """Nothing, if the branch contains ``source`` now.

    Raises:
        RunError: ``merge-failed``.
    """
    if not await evidence.is_ancestor(git, source, target_ref):
        raise _lost(target_ref, source)


async def _require_contained(forge: Forge, target_ref: str, source: str) -> None:
    tip = await forge.tips.at(target_ref)
    if tip is None or not await forge.objects.is_ancestor(source, tip):
        raise _lost(target_ref, source)


def _lost(target_ref: str, source: str) -> RunError:
    return RunError("merge-failed", f"{target_ref} does not contain {source} after the merge")


async def _plan(forge: Forge, old: str, source: str, message: str) -> Merged | Conflict:
    """Where the branch would go; objects may be made for it, nothing moves."""
    base = await forge.objects.merge_base(old, source)
    if base is None:
        raise RunError("merge-failed", f"{source} has no history in common with the branch")
    if base == source:
        return Merged(old, old, "nothing")
    attributes = await forge.attributes.at(old)
    if await forge.customs.of(attributes):
        return await _plan_on_bench(forge, old, source, message, forward=base == old)
    if base == old:
        return Merged(old, source, "fast-forward")
    tree: str | Conflict | None = await forge.objects.merged_tree(old, source)
    if tree is None:
        if not await forge.objects.one_base(
            old, source
        ):  # git may name the side that is checked out in files
            return await _plan_on_bench(forge, old, source, message, forward=False)
        tree = await _merged_tree(forge, attributes, old, source)
    if isinstance(tree, Conflict):
        return tree
    made = await forge.objects.commit(tree, (old, source), message, forge.identity)
    return Merged(old, made, "merge-tree")


async def _distinct(git: Git, plan: Merged) -> Merged | Conflict:
    """The plan, unless files of its result could not lie beside each other."""
    alike = await same_but_for_case(git, plan.new) if plan.new != plan.old else ()
    return Conflict(alike) if alike else plan


async def _plan_on_bench(
    forge: Forge, old: str, source: str, message: str, *, forward: bool
) -> Merged | Conflict:
    done = await forge.bench.merge(old, source, message, forge.identity, forward=forward)
    if isinstance(done, tuple):
        return Conflict(done)
    return Merged(old, done, "fast-forward" if done == source else "git")


async def _merged_tree(forge: Forge, attributes: Attributes, tip: str, source: str) -> str | Conflict:
    with attribute_folder(forge.customs.common_dir, attributes) as folder:
        place = {"GIT_DIR": forge.customs.common_dir, "GIT_WORK_TREE": folder}
        return await _merge_tree(forge.git.at(folder), tip, source, place)


async def _merge_tree(git: Git, tip: str, source: str, env: Mapping[str, str]) -> str | Conflict:
    options = ("--write-tree", "-z", "--name-only", "--no-messages")
    done = await git.run("merge-tree", *options, tip, source, env=env, ok=(0, _CONFLICTED))
    tree, *paths = done.fields or [done.stdout.strip()]
    if done.code == _CONFLICTED:
        return Conflict(tuple(readable(path) for path in paths))
    return tree.decode()
