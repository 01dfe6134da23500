"""Trying again what is in the dead letter queue of a run: in its journal, under its lock, with its whole tree."""

from collections.abc import Iterator

import msgspec
import trio

from prodigy.actors import launch
from prodigy.actors.finish import Answer
from prodigy.cli.backend import Chosen
from prodigy.cli.continuation import Continuation, Ending
from prodigy.cli.invocation import Invocation
from prodigy.cli.printer import Column, Part, Span
from prodigy.cli.replacement import Replacement, differs, replacement
from prodigy.cli.text import counted
from prodigy.errors import RunError, UsageError
from prodigy.events import DlqRetryStarted
from prodigy.git.repository import branch_tip, find_target
from prodigy.ids import session_branch, tail_of
from prodigy.job.plan import RunPlan
from prodigy.job.retrying import Choice, chosen, parallel, rebased, retried
from prodigy.job.state import JobState
from prodigy.store.dead_letters import dead_letter_lines
from prodigy.store.documents import DeadLetterLine, RetryPlanDocument
from prodigy.store.runs import Run, load_state
from prodigy.store.snapshots import Folded
from prodigy.workflow.model import Budget

_COLUMNS = (
    Column("item", elastic=True),
    Column("failures", right=True),
    Column("class"),
    Column("message", elastic=True),
)


class Wanted(msgspec.Struct, frozen=True, kw_only=True):
    """What a retry is asked for; ``workflow`` is a file whose workflow takes the place of the recorded one."""

    choice: Choice = Choice()
    max_parallel: int | None = None
    attempts: int | None = None
    reload: bool = False
    workflow: str | None = None
    reduce: bool = False
    force: bool = False
    model: str | None = None
    agent: Chosen | None = None
    budget: Budget | None = None


def retry(invocation: Invocation, run: Run, wanted: Wanted, merge: Answer | None, *, strict: bool) -> int:
    """Try items of a run's queue again; the exit code is 1 when every one of them failed again.

    Raises:
        UsageError: ``run-unfinished``, ``item-not-found``, ``ambiguous-id``, ``bad-value``, ``workflow-mismatch``.
        RunError: ``already-running``, ``plan-lost``, ``merge-target-missing`` and others.
    """
    return trio.run(_Retry(invocation, run, wanted, merge, strict=strict).run)


def foresee(invocation: Invocation, run: Run, wanted: Wanted) -> None:
    """Show what ``retry`` would do; nothing is started and nothing is written."""
    planned = _Retry(invocation, run, wanted, None, strict=False)
    planned.show(load_state(run))


class _Retry(Continuation):
    """One retry."""

    def __init__(
        self, invocation: Invocation, run: Run, wanted: Wanted, merge: Answer | None, *, strict: bool
    ) -> None:
        super().__init__(invocation, run, merge, strict=strict)
        self._wanted = wanted

    # -- what it is about ----------------------------------------------------------------------------------------------
    def _nothing(self, state: JobState) -> None:
        some = (
            "item of the dead letter queue fits" if state.dead_letters else "item is in the dead letter queue"
        )
        self._printer.line(f"nothing to retry: no {some} of {self._run.session_id}")

    def _taken(self, plan: RunPlan) -> Replacement | None:
        """The workflow that takes the place of the recorded one."""
        wanted = self._wanted
        if wanted.workflow is None and not wanted.reload:
            return None
        return replacement(plan, self._invocation, wanted.workflow)

    def show(self, state: JobState) -> None:
        """What would be tried again, and with which workflow."""
        letters = list(dead_letter_lines(state, chosen(state, self._wanted.choice)))
        if not letters:
            self._nothing(state)
        plan = self._asked(state)
        taken = self._taken(plan)
        plan = taken.plan if taken is not None else plan
        document = RetryPlanDocument(
            job_id=plan.job_id,
            workflow_path=plan.workflow_path,
            workflow_sha256=plan.workflow_sha256,
            max_parallel=parallel(plan, state, self._wanted.max_parallel),
            reduce=self._wanted.reduce,
            items=letters,
        )
        if self._printer.document(document) or not letters:
            return
        self._printer.table(_COLUMNS, _rows(letters))
        edited = "; the file was changed since, `--reload` takes it" if differs(plan) else ""
        self._printer.line(
            f"{counted(len(letters), 'item')}, {document.max_parallel} at a time, with {plan.workflow_path}"
            f" ({plan.workflow_sha256[:8]}){edited}"
        )

    # -- the retry -----------------------------------------------------------------------------------------------------
    async def go_on(self, found: Folded) -> Ending:
        """Choose the items, find the branch that they are for, and start the tree."""
        state = found.state
        self._require_end(state)
        wanted = tuple(letter.item_id for letter in chosen(state, self._wanted.choice))
        if not wanted:
            self._nothing(state)
            return lambda: 0
        plan = self._asked(state)
        taken = self._taken(plan)
        settings = self._changed_settings(plan, taken=taken is not None)
        plan = rebased(taken.plan if taken is not None else plan, state)
        if taken is None and differs(plan):
            self._printer.note(f"{plan.workflow_path} was changed since; `--reload` takes it as it is now")
        ground = await self._ground(plan)
        event = msgspec.structs.replace(
            self._event(plan, state, wanted, *await self._place(plan, state, ground)),
            backend=self._backend(
                self._wanted.agent or self._reloaded(plan, settings, taken=taken is not None)
            ),
            settings=settings,
            settings_taken=bool(settings) and taken is not None,
        )
        if event.branch_number != state.branch_number:
            plan = msgspec.structs.replace(
                plan, branch_number=event.branch_number, base_commit=event.base_commit
            )
            self._printer.note(f"the session's branch is gone; the work goes to {plan.branch}")
        return await self._live(
            retried(plan, event), found, ground, self._merge, event, taken, self._wanted.budget
        )

    def _require_end(self, state: JobState) -> None:
        """Nothing, unless the run stopped before its end, or was merged and not cleared away."""
        tail = tail_of(self._run.job_id)
        if state.status not in {"completed", "failed"}:
            raise UsageError(
                "run-unfinished",
                f"`{self._run.session_id}` has not come to its end",
                hint=f"go on with it first: `prodigy resume {tail}`",
            )
        if state.merge in {"merged", "nothing"} and not state.branch_removed:
            raise UsageError(
                "run-unfinished",
                f"`{self._run.session_id}` was merged, and its worktree is not removed yet",
                hint=f"end that first: `prodigy resume {tail}`",
            )

    def _event(
        self, plan: RunPlan, state: JobState, item_ids: tuple[str, ...], number: int, base: str
    ) -> DlqRetryStarted:
        wanted, configuration = self._wanted, self._invocation.configuration
        return DlqRetryStarted(
            item_ids=item_ids,
            base_commit=base,
            branch_number=number,
            max_parallel=parallel(plan, state, wanted.max_parallel, configuration.get("dlq.retry_parallel")),
            attempts=wanted.attempts,
            alike=None if wanted.force else configuration.get("dlq.circuit"),
            filter=wanted.choice.filter,
            reduce=wanted.reduce,
            auto_merge=self._merge == "flag-yes",
            model=wanted.model,
            workflow_sha256=plan.workflow_sha256,
            template_sha256=plan.template_sha256,
            steps=plan.steps(),
        )

    async def _place(self, plan: RunPlan, state: JobState, ground: launch.Ground) -> tuple[int, str]:
        """The number of the branch that the items are for, and the commit that they start from.

        That is the session's branch as it stands, with what its user added to it; if it is gone, a new one on the tip
        of the branch that the run is for.
        """
        tip = None if state.branch_removed else await branch_tip(ground.git, plan.branch)
        if tip is not None:
            return state.branch_number, tip
        target = await find_target(ground.git, plan.target)
        base = await branch_tip(ground.git, target.branch) if target.branch is not None else None
        if base is None:
            raise RunError("merge-target-missing", f"There is no branch to start from: {target.fallback}")
        number = state.branch_number + 1
        while await branch_tip(ground.git, session_branch(plan.session_id, number)) is not None:
            number += 1
        return number, base


def _rows(letters: list[DeadLetterLine]) -> Iterator[tuple[Part, ...]]:
    for letter in letters:
        yield (
            Span(letter.text, "strong"),
            str(letter.failure_count),
            letter.error_class or "",
            letter.message,
        )
