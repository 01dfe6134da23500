"""``worktree merge`` and ``worktree clean``: taking up runs that have ended, one after the other."""

import os
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path

import msgspec
import trio

from prodigy.actors import launch
from prodigy.actors.finish import Answer
from prodigy.actors.recorder import Stamp
from prodigy.actors.tree import Purpose
from prodigy.actors.upkeep import take_up
from prodigy.cli.here import repository_here, run_called
from prodigy.cli.invocation import Invocation
from prodigy.cli.prompt import confirm
from prodigy.cli.text import counted
from prodigy.errors import ProdigyError, UsageError
from prodigy.job.state import JobState
from prodigy.job.summary import JobSummary
from prodigy.store.runs import Run, all_runs, summary


class Merged(msgspec.Struct, frozen=True, kw_only=True):
    """What became of one merge: ``merged``, ``nothing``, ``declined`` or ``failed``."""

    what: str
    result: str
    detail: str | None = None


class MergeDocument(msgspec.Struct, frozen=True, tag_field="schema", tag="prodigy.merge/1"):
    """``prodigy.merge/1``."""

    merges: list[Merged]


class Removed(msgspec.Struct, frozen=True, kw_only=True):
    """A session whose worktrees and branches are gone, or would be; ``rescue_refs`` keep what was not merged."""

    what: str
    bytes: int
    rescue_refs: tuple[str, ...] = ()


class Kept(msgspec.Struct, frozen=True, kw_only=True):
    """A session that was left alone."""

    what: str
    why: str


class RemovalDocument(msgspec.Struct, frozen=True, tag_field="schema", tag="prodigy.removal/1"):
    """``prodigy.removal/1``; ``bytes`` in all."""

    removed: list[Removed]
    kept: list[Kept]
    bytes: int
    dry_run: bool


class Upkeep:
    """Takes up runs for one call of a verb."""

    def __init__(self, invocation: Invocation) -> None:
        self.invocation = invocation
        self.printer = invocation.printer

    def candidates(
        self, name: str | None, fits: Callable[[JobSummary], bool]
    ) -> Iterator[tuple[Run, JobSummary]]:
        """The run that is named, or every run of the repository that fits."""
        if name is not None:
            run = run_called(name, self.invocation, fits)
            known = summary(run)
            if known is not None:
                yield run, known
            return
        repo = repository_here(self.invocation, all_repos=False)
        for run in all_runs(self.invocation.home, repo):
            known = summary(run)
            if known is not None and fits(known):
                yield run, known

    def take_up(self, run: Run, purpose: Purpose, answer: Answer | None = None) -> JobState:
        """Merge or clean one run."""

        async def ask(session: str, branch: str) -> Answer:
            if answer is not None:
                return answer
            return await confirm(f"Merge {session} to {branch}?", self.printer, self.invocation.around.stdin)

        stamp = Stamp(self.invocation.around.now, launch.random_uuid)
        environ = self.invocation.around.environ
        return trio.run(take_up, run, purpose, ask, environ, stamp, self.invocation.argv)

    def confirmed(self, question: str) -> bool:
        """Ask before something of value is removed.

        Raises:
            UsageError: ``confirmation-needed``: nobody is there to ask.
        """
        said = trio.run(confirm, question, self.printer, self.invocation.around.stdin)
        if said == "no-tty":
            raise UsageError(
                "confirmation-needed", "Nothing was removed: nobody is there to ask", hint="give `--force`"
            )
        return said == "yes"


def merge_sessions(invocation: Invocation, name: str | None, *, every: bool, yes: bool, force: bool) -> int:
    """Merge the sessions; 1 if any could not be merged."""
    upkeep = Upkeep(invocation)
    found = list(upkeep.candidates(name, lambda known: known.unmerged))
    if not found:
        invocation.printer.line("No session waits for its merge")
    if len(found) > 1 and not every:
        listed = "\n".join(known.session_id for _, known in found)
        raise UsageError(
            "ambiguous-run",
            "Several sessions wait for their merge",
            note=listed,
            hint="name one, or give `--all`",
        )
    merges = [_merge(upkeep, run, known, yes=yes, force=force, alone=not every) for run, known in found]
    invocation.printer.document(MergeDocument(merges))
    for merged in merges:
        detail = f": {merged.detail}" if merged.detail else ""
        invocation.printer.line(f"{merged.what}  {merged.result}{detail}")
    return 1 if any(merged.result == "failed" for merged in merges) else 0


def _merge(upkeep: Upkeep, run: Run, known: JobSummary, *, yes: bool, force: bool, alone: bool) -> Merged:
    if known.merge in {"merged", "nothing"} or known.branch_removed:
        return Merged(what=known.session_id, result="nothing", detail="there is nothing left to merge")
    if known.status != "completed" and not force:
        raise UsageError(
            "run-unfinished",
            f"`{known.session_id}` is {known.status}, and its work may be incomplete",
            hint=f"merge what is there with `prodigy worktree merge {known.tail} --force`",
        )
    try:
        state = upkeep.take_up(run, "merge", "flag-yes" if yes else None)
    except ProdigyError as error:
        if alone:
            raise
        return Merged(what=known.session_id, result="failed", detail=error.message)
    return Merged(what=known.session_id, result=state.merge, detail=_detail(state))


def _detail(state: JobState) -> str | None:
    if state.merged_into:
        return f"into {state.merged_into}"
    if state.merge == "declined" and state.merge_answer == "no-tty":
        return "nobody is there to ask, `--yes` merges"
    return None


def clean_sessions(
    invocation: Invocation,
    name: str | None,
    *,
    every: bool,
    force: bool,
    merged_only: bool,
    older_than: timedelta | None,
    dry_run: bool,
) -> int:
    """Remove worktrees and branches of sessions that have ended; what is not merged is rescued first."""
    upkeep = Upkeep(invocation)
    oldest = invocation.around.now() - older_than if older_than is not None else None
    removed: list[Removed] = []
    kept: list[Kept] = []
    declined = False
    for run, known in upkeep.candidates(name, lambda known: not known.branch_removed):
        why = _why_kept(known, named=name is not None or every, force=force, merged_only=merged_only)
        if oldest is not None and known.updated_at > oldest:
            why = "not old enough"
        if why is not None:
            kept.append(Kept(what=known.session_id, why=why))
        elif dry_run:
            removed.append(Removed(what=known.session_id, bytes=_size(run)))
        elif _has_value(known) and not force and not upkeep.confirmed(_question(known)):
            kept.append(Kept(what=known.session_id, why="you said no"))
            declined = True
        else:
            removed.append(_clean(upkeep, run, known))
    _tell(invocation, RemovalDocument(removed, kept, sum(gone.bytes for gone in removed), dry_run))
    return 1 if declined else 0


def _why_kept(known: JobSummary, *, named: bool, force: bool, merged_only: bool) -> str | None:
    """Why a session stays; ``None`` if it may go."""
    if known.live:
        return "it is running: `prodigy stop` ends it"
    if merged_only and known.merge != "merged":
        return "it is not merged"
    if _has_value(known) and not (named or force):
        return "it has work that is not merged; `--force` removes it and keeps the work under rescue refs"
    return None


def _has_value(known: JobSummary) -> bool:
    """Whether something would have to be rescued: work that is not merged, or agents cut off in the middle."""
    return known.merge not in {"merged", "nothing"} and (known.commits > 0 or known.status != "completed")


def _question(known: JobSummary) -> str:
    return f"Remove {known.session_id} ({known.status}, {counted(known.commits, 'commit')} not merged)?"


def _clean(upkeep: Upkeep, run: Run, known: JobSummary) -> Removed:
    size = _size(run)
    state = upkeep.take_up(run, "clean")
    return Removed(what=known.session_id, bytes=size, rescue_refs=tuple(state.rescue_refs))


def _size(run: Run) -> int:
    """Bytes of a run's worktrees."""
    layout = run.layout
    places = (layout.session_worktree(run.session_id), layout.slot(run.session_id, 1).parent)
    return sum(_bytes_in(place) for place in places)


def _bytes_in(place: Path) -> int:
    total = 0
    for folder, _, files in os.walk(place):
        for file in files:
            try:
                total += Path(folder, file).lstat().st_size
            except OSError:
                continue
    return total


def _tell(invocation: Invocation, document: RemovalDocument) -> None:
    printer = invocation.printer
    printer.document(document)
    verb = "would remove" if document.dry_run else "removed"
    for gone in document.removed:
        printer.line(f"{verb}  {gone.what}  {_readable(gone.bytes)}")
        for ref in gone.rescue_refs:
            printer.line(f"  kept as {ref}")
    for left in document.kept:
        printer.line(f"kept     {left.what}  {left.why}")
    if not document.removed and not document.kept:
        printer.line("No session has a branch or a worktree")
    elif len(document.removed) > 1:
        printer.line(f"{_readable(document.bytes)} in all")


def _readable(size: int) -> str:
    amount = float(size)
    for unit in ("B", "KiB", "MiB", "GiB"):
        if amount < 1024 or unit == "GiB":  # noqa: PLR2004 - the base of binary units
            return f"{amount:.0f} {unit}" if unit == "B" else f"{amount:.1f} {unit}"
        amount /= 1024
    raise AssertionError("unreachable")
