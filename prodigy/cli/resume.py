"""Taking up a run that stopped before its end, from any process, at the point that its journal tells."""

import hashlib
from pathlib import Path

import msgspec
import trio

from prodigy.actors import launch
from prodigy.actors.finish import Answer
from prodigy.actors.survivors import Recorded, end_survivors, recorded
from prodigy.cli.here import repository_here, run_called
from prodigy.cli.invocation import Invocation
from prodigy.cli.session import Session
from prodigy.errors import RunError, UsageError, WorkflowError
from prodigy.job.plan import RunPlan
from prodigy.job.report import report
from prodigy.job.state import JobState
from prodigy.job.summary import JobSummary
from prodigy.steps.masking import MASK
from prodigy.store.locks import JobLock
from prodigy.store.projections import asked
from prodigy.store.runs import LATEST, Run, records, status_document, summaries
from prodigy.workflow.layers import environments

_NOTHING = "nothing to resume"


def resume(
    invocation: Invocation,
    name: str | None,
    *,
    merge: Answer | None,
    strict: bool,
    workflow: Path | None = None,
) -> int:
    """Take up a run and conduct it to its end; the exit code is that of ``run``.

    Args:
        invocation: who asks.
        name: any id of the run; ``None`` for the only one that can be resumed.
        merge: the answer to the question of the final merge; ``None``: as the run was begun, else asked.
        strict: whether items in the dead letter queue make the exit code 1.
        workflow: the file that the run must have been begun with.

    Raises:
        UsageError: ``run-not-found``, ``ambiguous-run``, ``workflow-mismatch``.
        RunError: ``already-running``, ``journal-corrupt``, ``session-removed``, ``plan-lost``, ``still-ending``.
    """
    run = _chosen(invocation, name)
    if run is None:
        invocation.printer.document(status_document(invocation.home, _here(invocation)))
        invocation.printer.line(f"{_NOTHING}: every run of this repository came to its end")
        return 0
    return trio.run(_Resumption(invocation, run, merge, strict=strict, workflow=workflow).run)


def _chosen(invocation: Invocation, name: str | None) -> Run | None:
    """The run that is meant; ``None`` if none was named and none waits."""
    if name not in {None, LATEST}:
        return run_called(name, invocation)
    every = summaries(invocation.home, _here(invocation))
    waiting = [known for known in every if _waits(known)]
    if not waiting:
        waiting = [known for known in every if known.live][:1]  # whoever works at it is named
    if name is None and len(waiting) > 1:
        raise UsageError(
            "ambiguous-run",
            "Several runs can be resumed",
            note="\n".join(f"{known.tail}  {known.workflow}  {known.status}" for known in waiting),
            hint=f"name one, or take the newest with `prodigy resume {LATEST}`",
        )
    return run_called(waiting[0].job_id, invocation) if waiting else None


def _here(invocation: Invocation) -> str | None:
    return repository_here(invocation, all_repos=False)


def _waits(known: JobSummary) -> bool:
    """Whether work is left, or a final merge that nobody declined."""
    cut_in_merge = known.unmerged and known.merge == "pending"
    return (known.resumable and known.status != "corrupt") or cut_in_merge


class _Resumption:
    """One run on its way back."""

    def __init__(
        self,
        invocation: Invocation,
        run: Run,
        merge: Answer | None,
        *,
        strict: bool,
        workflow: Path | None,
    ) -> None:
        self._invocation = invocation
        self._printer = invocation.printer
        self._around = invocation.around
        self._run = run
        self._merge = merge
        self._strict = strict
        self._workflow = workflow

    async def run(self) -> int:
        """Run to the end and return the exit code; nothing is read before the run is this process's own."""
        run, layout = self._run, self._run.layout
        since, argv = self._around.now(), self._invocation.argv
        with JobLock.acquire(layout.job_lock(run.job_id), since=since, argv=argv):
            found = recorded(records(run))
            if _is_over(found.state):
                return self._tell_nothing(found.state)
            plan = self._plan(found.state)
            self._compare(plan)
            _require_secrets(plan)
            await self._end_survivors(found, plan)
            ground = await self._ground(plan)
            prepared = await launch.prepare_environment(
                plan.workflow, ground, self._around.environ, plan.profile, plan.computed
            )
            self._announce(plan, ground)
            agreed: Answer | None = "flag-yes" if _agreed(plan, found.state) else None
            session = Session(self._invocation, self._merge or agreed, strict=self._strict)
            tree = await session.live(plan, layout, ground, prepared)
        return session.ended(tree, layout.repo, prepared.masker)

    def _tell_nothing(self, state: JobState) -> int:
        self._printer.document(report(state, self._run.repo, self._around.now()))
        self._printer.line(f"{_NOTHING}: {self._run.session_id} came to its end")
        return 1 if self._strict and state.dead_letters else 0

    def _plan(self, state: JobState) -> RunPlan:
        if state.branch_removed:
            raise RunError(
                "session-removed",
                f"The branch of `{self._run.session_id}` was removed, and with it what the run could go on with",
                hint="start it again with `prodigy run`; what was not merged is kept under rescue refs",
            )
        plan = asked(self._run.layout, self._run.job_id)
        if plan is None:
            raise RunError(
                "plan-lost",
                "What the run was asked to do cannot be read any more",
                where=str(self._run.layout.state(self._run.job_id) / "job.json"),
                hint=f"merge what is there with `prodigy worktree merge {self._run.job_id} --force`",
            )
        return plan

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
        if not path.is_absolute():
            return  # it came from standard input
        try:
            same = hashlib.sha256(path.read_bytes()).hexdigest() == plan.workflow_sha256
        except OSError:
            same = False
        if not same:
            self._printer.note(f"{path} is not what the run was begun with; the recorded workflow is used")

    async def _end_survivors(self, found: Recorded, plan: RunPlan) -> None:
        lock = self._run.layout.workers_lock(plan.job_id)
        await end_survivors(plan.job_id, lock, found.spawned, plan.workflow.grace, self._printer.note)

    async def _ground(self, plan: RunPlan) -> launch.Ground:
        """The repository as it is; the branch is the one that the run was begun on."""
        ground = await launch.survey(Path(plan.repository), self._around.environ)
        target = msgspec.structs.replace(ground.target, branch=plan.original_branch)
        return msgspec.structs.replace(ground, target=target)

    def _announce(self, plan: RunPlan, ground: launch.Ground) -> None:
        self._printer.talk(f"session   {plan.session_id}")
        self._printer.talk(f"worktree  {self._run.layout.session_worktree(plan.session_id)}")
        self._printer.talk(f"base      {plan.base_commit[:10]}, for {plan.target}")
        if ground.repository.root != plan.repository:
            self._printer.note(f"the repository is now {ground.repository.root}")


def _require_secrets(plan: RunPlan) -> None:
    """Nothing, unless the value of a secret stood in the workflow itself: values of secrets are recorded nowhere.

    Raises:
        WorkflowError: ``secret-missing``.
    """
    for layer in environments(plan.workflow):
        declared = (*layer.secrets, *(variable for variable in layer.variables if variable.secret))
        for variable in declared:
            if any(MASK in value.text for value in variable.values.values()):
                raise WorkflowError(
                    "secret-missing",
                    f"The value of the secret `{variable.name}` stands in the workflow, and is recorded nowhere",
                    where=plan.workflow_path,
                    hint="let it come from the environment or from a file, so that runs can be resumed",
                )


def _is_over(state: JobState) -> bool:
    """Whether nothing is left to do, not even a merge or the removal of what was merged."""
    return state.status == "completed" and state.branch_removed


def _agreed(plan: RunPlan, state: JobState) -> bool:
    """Whether the final merge was agreed to and not done yet."""
    return state.merge == "pending" and (plan.auto_merge or state.merge_answer in {"yes", "flag-yes"})
