"""``prodigy dlq purge`` and ``clear``: items leave the queue without being tried again."""

from collections.abc import Callable, Sequence
from datetime import timedelta
from typing import Annotated

from cyclopts import Parameter

from prodigy.cli.invocation import Given, Invocation
from prodigy.cli.letters import Job, JobFlag, jobs
from prodigy.cli.options import Positive
from prodigy.cli.text import counted
from prodigy.ids import tail_of
from prodigy.job.items import item_text, named
from prodigy.job.state import DeadLetter
from prodigy.store.evictions import Reason
from prodigy.store.runs import Run

Yes = Annotated[bool, Parameter(name=("--yes", "-y", "--force", "-f"))]
Doomed = Sequence[tuple[Run, Sequence[DeadLetter]]]


def purge(
    *,
    older_than_days: Positive,
    job: JobFlag = None,
    yes: Yes = False,
    dry_run: bool = False,
    invocation: Given,
) -> int:
    """Remove the items whose last failure is long ago; their records and rescue refs stay.

    Args:
        older_than_days: How long ago at least.
        job: Only those of one run.
        yes: Remove without asking.
        dry_run: Show what would be removed.
        invocation: Who asks.
    """
    oldest = invocation.around.now() - timedelta(days=older_than_days)
    doomed = _doomed(job, invocation, lambda letter: letter.last_attempt < oldest)
    criterion = f"older than {counted(older_than_days, 'day')}"
    return _remove(invocation, doomed, "purged", criterion, yes=yes, dry_run=dry_run)


def clear(
    job: Job,
    *,
    item: Annotated[tuple[str, ...], Parameter(name="--item")] = (),
    signature: str | None = None,
    yes: Yes = False,
    dry_run: bool = False,
    invocation: Given,
) -> int:
    """Remove the items of one run; their records and rescue refs stay.

    Args:
        job: The run, or latest for the newest one that has such items.
        item: Only this item: id, text, or #index; repeat for more of them.
        signature: Only items that failed alike; its beginning is enough.
        yes: Remove without asking.
        dry_run: Show what would be removed.
        invocation: Who asks.
    """
    doomed = _doomed(job, invocation, lambda letter: letter.error_signature.startswith(signature or ""), item)
    named_ = (f"item {', '.join(item)}" if item else "", f"signature {signature}" if signature else "")
    criterion = ", ".join(filter(None, named_)) or "all"
    return _remove(invocation, doomed, "cleared", criterion, yes=yes, dry_run=dry_run)


def _doomed(
    job: str | None,
    invocation: Invocation,
    fits: Callable[[DeadLetter], bool],
    items: Sequence[str] = (),
) -> Doomed:
    found = (
        (run, [letter for letter in named(state, items) if fits(letter)])
        for run, state in jobs(job, invocation)
    )
    return [(run, letters) for run, letters in found if letters]


def _remove(
    invocation: Invocation, doomed: Doomed, reason: Reason, criterion: str, *, yes: bool, dry_run: bool
) -> int:
    from prodigy.actors.launch import random_uuid
    from prodigy.cli.removal import Kept, Removed, removal
    from prodigy.cli.upkeep import Upkeep
    from prodigy.store.evictions import evict

    number = sum(len(letters) for _, letters in doomed)
    removed: list[Removed] = []
    kept: list[Kept] = []
    question = f"Remove {counted(number, 'item')} from the dead letter queue?"
    agreed = yes or dry_run or not doomed or Upkeep(invocation).confirmed(question)
    for run, letters in doomed:
        if dry_run or not agreed:
            gone: Sequence[DeadLetter] = letters if dry_run else ()
        else:
            ids_ = [letter.item_id for letter in letters]
            around = invocation.around
            gone = evict(run, ids_, reason, criterion, now=around.now, uuid=random_uuid, argv=invocation.argv)
        removed += (Removed(what=_name(run, letter), bytes=0) for letter in gone)
        kept += (Kept(what=_name(run, letter), why="you said no") for letter in letters if not agreed)
    document = removal(removed, kept, dry_run=dry_run)
    if not invocation.printer.document(document):
        verb = "would be removed" if dry_run else "removed"
        invocation.printer.line(f"{counted(len(removed), 'item')} {verb}")
        for one in removed:
            invocation.printer.line(f"  {one.what}")
    return 0 if agreed else 1


def _name(run: Run, letter: DeadLetter) -> str:
    return f"{tail_of(run.job_id)}  {item_text(letter.item, letter.item_id)}"
