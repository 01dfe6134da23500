"""``worktree clean-orphaned``: what no journal lays claim to any more is removed, and its work kept."""

from pathlib import Path

import trio

from prodigy.actors.orphans import Found, Orphan, Orphanage, orphanage, tail_of
from prodigy.cli.invocation import Invocation
from prodigy.cli.prompt import confirm
from prodigy.cli.removal import Kept, Removed, bytes_below, removal, tell_removal
from prodigy.cli.text import counted
from prodigy.errors import UsageError
from prodigy.git.orphans import Place

_NOTHING = "Every worktree and branch of ours belongs to a run"


def clean_orphaned(invocation: Invocation, job: str | None, *, force: bool, dry_run: bool) -> int:
    """Find, ask where work would be removed that is nowhere else, keep it, remove; 1 if somebody said no."""
    return trio.run(_clean, invocation, job, force, dry_run)


async def _clean(invocation: Invocation, job: str | None, force: bool, dry_run: bool) -> int:  # noqa: FBT001 - handed on by position
    around = invocation.around
    found_in = await orphanage(invocation.place, invocation.home, around.environ, around.now())
    found = await found_in.find(tail_of(job) if job is not None else None)
    kept = [Kept(what=name, why=why) for name, why in found.spared]
    doomed = found.orphans
    if not (force or dry_run or await _agreed(invocation, found)):
        kept += [Kept(what=one.name, why="you said no") for one in doomed if one.precious]
        doomed = [one for one in doomed if not one.precious]
    removed = await _remove(invocation, found_in, doomed, dry_run=dry_run)
    tell_removal(invocation, removal(removed, kept, dry_run=dry_run), _NOTHING)
    return 1 if len(doomed) < len(found.orphans) else 0


async def _agreed(invocation: Invocation, found: Found) -> bool:
    precious = [one for one in found.orphans if one.precious]
    if not precious:
        return True
    for one in precious:
        invocation.printer.note(f"`{one.name}` holds work that is nowhere else")
    question = (
        f"Remove {counted(len(precious), 'place')} with such work, and keep it under refs/prodigy/rescue?"
    )
    said = await confirm(question, invocation.printer, invocation.around.stdin)
    if said == "no-tty":
        raise UsageError(
            "confirmation-needed", "Nothing was removed: nobody is there to ask", hint="give `--force`"
        )
    return said == "yes"


async def _remove(
    invocation: Invocation, found_in: Orphanage, doomed: list[Orphan], *, dry_run: bool
) -> list[Removed]:
    sizes = [await trio.to_thread.run_sync(_size, one) for one in doomed]
    refs: dict[str, str] = {}
    if not dry_run:
        refs = await found_in.remove(doomed, invocation.around.now(), invocation.argv)
    return [
        Removed(what=one.name, bytes=size, rescue_refs=(refs[one.name],) if one.name in refs else ())
        for one, size in zip(doomed, sizes, strict=True)
    ]


def _size(orphan: Orphan) -> int:
    return bytes_below([Path(orphan.name)]) if isinstance(orphan.thing, Place) else 0
