"""Taking up a run that stopped before its end, from any process, at the point that its journal tells."""

from pathlib import Path

import msgspec
import trio

from prodigy.actors.finish import Answer
from prodigy.cli.backend import Chosen
from prodigy.cli.continuation import Continuation, Ending
from prodigy.cli.here import repository_here, run_called
from prodigy.cli.invocation import Invocation
from prodigy.cli.replacement import Replacement, differs, replacement
from prodigy.cli.resume_plan import foresee
from prodigy.cli.retry import Wanted, retry
from prodigy.cli.retry import foresee as foresee_retry
from prodigy.errors import RunError, UsageError
from prodigy.job.plan import RunPlan
from prodigy.job.redirection import Changes, resumed
from prodigy.job.report import report
from prodigy.job.retrying import in_force
from prodigy.job.state import JobState
from prodigy.job.summary import JobSummary
from prodigy.store.runs import LATEST, Known, Run, all_runs, known, status_document
from prodigy.store.snapshots import Folded
from prodigy.workflow.model import Budget

_NOTHING = "nothing to resume"
_AS_BEFORE = Changes()


def resume(  # noqa: PLR0913 - all that a user can say of it
    invocation: Invocation,
    name: str | None,
    changes: Changes = _AS_BEFORE,
    *,
    merge: Answer | None,
    strict: bool,
    workflow: Path | None = None,
    budget: Budget | None = None,
    agent: Chosen | None = None,
    dry_run: bool = False,
) -> int:
    """Take up a run and conduct it to its end; the exit code is that of ``run``.

    Args:
        invocation: who asks.
        name: any id of the run; ``None`` for the only one that can be resumed.
        changes: what is to be otherwise than before.
        merge: the answer to the question of the final merge; ``None``: as the run was begun, else asked.
        strict: whether items in the dead letter queue make the exit code 1.
        workflow: the file that the run must have been begun with.
        budget: bounds that take the place of those in force.
        agent: what Claude steps run from now on.
        dry_run: only say what would be done.

    Raises:
        UsageError: ``run-not-found``, ``ambiguous-run``, ``workflow-mismatch``.
        RunError: ``already-running``, ``journal-corrupt``, ``session-removed``, ``plan-lost``, ``still-ending``.
    """
    again = changes.force or changes.include
    chosen = _chosen(invocation, name, queued=again)
    if chosen is None:
        invocation.printer.document(status_document(invocation.storage, _here(invocation)))
        invocation.printer.line(f"{_NOTHING}: every run of this repository came to its end")
        return 0
    run, seen = chosen
    if again and seen is not None and seen.summary.waiting:
        return _retry(invocation, run, changes, agent, merge, strict=strict, dry_run=dry_run)
    if dry_run:
        foresee(invocation, run, changes)
        return 0
    return trio.run(
        _Resumption(
            invocation,
            run,
            seen,
            changes,
            merge,
            strict=strict,
            workflow=workflow,
            budget=budget,
            agent=agent,
        ).run
    )


def _retry(
    invocation: Invocation,
    run: Run,
    changes: Changes,
    agent: Chosen | None,
    merge: Answer | None,
    *,
    strict: bool,
    dry_run: bool,
) -> int:
    """A completed run goes on with the items of its queue, and then with reduce if that is forced."""
    wanted = Wanted(
        max_parallel=changes.max_parallel,
        attempts=changes.attempts,
        reload=changes.reload,
        reduce=changes.force,
        model=changes.model,
        agent=agent,
    )
    if dry_run:
        foresee_retry(invocation, run, wanted)
        return 0
    return retry(invocation, run, wanted, merge, strict=strict)


def _chosen(invocation: Invocation, name: str | None, *, queued: bool) -> tuple[Run, Known | None] | None:
    """The run that is meant, and what is known of it; ``None`` if none was named and none waits.

    ``queued``: items of a queue count as work.
    """
    if name not in {None, LATEST}:
        run = run_called(name, invocation)
        return run, known(run)
    waiting: list[Known] = []
    live: Known | None = None
    for one in filter(None, map(known, all_runs(invocation.storage, _here(invocation)))):
        if _waits(one.summary) or (queued and one.summary.waiting):
            # States are large, and only the first is gone on with.
            waiting.append(msgspec.structs.replace(one, folded=None) if waiting else one)
        elif one.summary.live:
            live = live or one
    if not waiting and live is not None:
        waiting = [live]  # whoever works at it is named
    if name is None and len(waiting) > 1:
        raise UsageError(
            "ambiguous-run",
            "Several runs can be resumed",
            note="\n".join(
                f"{one.summary.tail}  {one.summary.workflow}  {one.summary.status}" for one in waiting
            ),
            hint=f"name one, or take the newest with `prodigy resume {LATEST}`",
        )
    return (waiting[0].run, waiting[0]) if waiting else None


def _here(invocation: Invocation) -> str | None:
    return repository_here(invocation, all_repos=False)


def _waits(job: JobSummary) -> bool:
    """Whether work is left, a final merge that nobody declined, or the removal of what was merged."""
    cut_in_merge = job.unmerged and job.merge == "pending"
    return (job.resumable and job.status != "corrupt") or cut_in_merge or job.uncleaned


class _Resumption(Continuation):
    """One run on its way back; ``workflow`` is the file that it must have been begun with."""

    def __init__(  # noqa: PLR0913 - as for `resume`
        self,
        invocation: Invocation,
        run: Run,
        seen: Known | None,
        changes: Changes,
        merge: Answer | None,
        *,
        strict: bool,
        workflow: Path | None,
        budget: Budget | None,
        agent: Chosen | None,
    ) -> None:
        super().__init__(
            invocation, run, merge, strict=strict, seen=seen.folded if seen is not None else None
        )
        self._changes = changes
        self._agent = agent
        self._budget = budget
        self._workflow = workflow

    async def go_on(self, found: Folded) -> Ending:
        """Go on where the journal ends."""
        state = found.state
        if _is_over(state):
            return lambda: self._tell_nothing(state)
        if state.branch_removed:
            raise RunError(
                "session-removed",
                f"The branch of `{self._run.session_id}` was removed, and with it what the run could go on with",
                hint="start it again with `prodigy run`; what was not merged is kept under rescue refs",
            )
        asked = self._asked(state)
        self._compare(asked)
        settings = self._changed_settings(asked, taken=self._changes.reload)
        taken = self._taken(asked, settings)
        new = taken.plan if taken is not None else None
        changes = msgspec.structs.replace(
            self._changes,
            backend=self._backend(self._agent or self._reloaded(asked, settings, taken=self._changes.reload)),
        )
        opening = msgspec.structs.replace(
            resumed(state, changes, asked, new),
            settings=settings,
            settings_taken=bool(settings) and taken is not None,
        )
        plan = in_force(new or asked, state, opening)
        agreed: Answer | None = "flag-yes" if _agreed(plan, state) else None
        ground = await self._ground(plan)
        return await self._live(plan, found, ground, self._merge or agreed, opening, taken, self._budget)

    def _taken(self, plan: RunPlan, settings: tuple[str, ...]) -> Replacement | None:
        """The workflow as its file and the configuration say it now, if that is wanted and they say anything new."""
        if not self._changes.reload:
            return None
        taken = replacement(plan, self._invocation)
        if taken.plan.workflow_sha256 == plan.workflow_sha256 and not settings:
            self._printer.note(f"{plan.workflow_path} is what the run goes on with anyway")
            return None
        return taken

    def _tell_nothing(self, state: JobState) -> int:
        self._printer.document(report(state, self._run.repo, self._around.now(), self._run.histories()))
        self._printer.line(f"{_NOTHING}: {self._run.session_id} came to its end")
        return 1 if self._strict and state.dead_letters else 0

    def _compare(self, plan: RunPlan) -> None:
        """The recorded workflow is the one that runs; a file that differs is only told.

        Raises:
            UsageError: ``workflow-mismatch``: another file was named.
        """
        path = Path(plan.workflow_path)
        if self._workflow is not None and self._workflow != path:
            raise UsageError(
                "workflow-mismatch",
                f"`{self._run.session_id}` was begun with another workflow",
                where=plan.workflow_path,
                hint=f"`prodigy resume {self._run.job_id}` needs no file",
            )
        if differs(plan) and not self._changes.reload:
            self._printer.note(
                f"{path} is not what the run was begun with; the recorded workflow is used, `--reload` takes the file"
            )


def _is_over(state: JobState) -> bool:
    """Whether nothing is left to do, not even a merge or the removal of what was merged."""
    return state.status == "completed" and state.branch_removed


def _agreed(plan: RunPlan, state: JobState) -> bool:
    """Whether the final merge was agreed to and not done yet."""
    return state.merge == "pending" and (plan.auto_merge or state.merge_answer in {"yes", "flag-yes"})
