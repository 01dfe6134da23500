"""Taking up runs that have ended, one after the other; ``worktree merge``."""

from collections.abc import Callable, Iterator
from functools import partial

import msgspec
import trio

from prodigy.actors import launch
from prodigy.actors.finish import Answer
from prodigy.actors.recorder import Stamp
from prodigy.actors.tree import Purpose
from prodigy.actors.upkeep import take_up
from prodigy.cli.claude_variables import claude_variables
from prodigy.cli.here import repository_here, run_called
from prodigy.cli.invocation import Invocation
from prodigy.cli.prompt import confirm
from prodigy.cli.tuned import tuning
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


class Upkeep:
    """Takes up runs for one call of a verb."""

    def __init__(self, invocation: Invocation) -> None:
        self.invocation = invocation
        self.printer = invocation.printer

    def candidates(
        self, name: str | None, fits: Callable[[JobSummary], bool], *, all_repos: bool = False
    ) -> Iterator[tuple[Run, JobSummary]]:
        """The run that is named, or every run that fits, of the repository or of all."""
        if name is not None:
            run = run_called(name, self.invocation, fits)
            known = summary(run)
            if known is not None:
                yield run, known
            return
        repo = repository_here(self.invocation, all_repos=all_repos)
        for run in all_runs(self.invocation.storage, repo):
            known = summary(run)
            if known is not None and fits(known):
                yield run, known

    def take_up(self, run: Run, purpose: Purpose, answer: Answer | None = None) -> JobState:
        """Merge or clean one run; a machine without room for the agents of a merge refuses it at once."""

        async def ask(session: str, branch: str) -> Answer:
            if answer is not None:
                return answer
            return await confirm(f"Merge {session} to {branch}?", self.printer, self.invocation.around.stdin)

        stamp = Stamp(self.invocation.around.now, launch.random_uuid)
        at_once = msgspec.structs.replace(tuning(self.invocation.configuration), host_wait_max=0.0)
        work = partial(take_up, claude=partial(claude_variables, self.invocation), tuning=at_once)
        return trio.run(work, run, purpose, ask, self.invocation.around.environ, stamp, self.invocation.argv)

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
    found = list(upkeep.candidates(name, _forced if force else _waits))
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


def _waits(known: JobSummary) -> bool:
    return known.unmerged


def _forced(known: JobSummary) -> bool:
    """Whether a session has anything to merge, finished or not."""
    unfinished = known.status != "completed" and known.commits > 0
    return known.unmerged or (unfinished and not known.live and not known.branch_removed)


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
