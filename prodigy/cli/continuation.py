"""What all ways of going on with a run share: its lock, its plan, its repository, the tree that is started again."""

from collections.abc import Callable
from datetime import datetime

import msgspec

from prodigy.actors import launch
from prodigy.actors.claude_ready import check_claude
from prodigy.actors.environment import require_shallow
from prodigy.actors.finish import Answer
from prodigy.actors.survivors import end_survivors, left_behind
from prodigy.actors.tree import Opening
from prodigy.cli.backend import CLAUDE, Chosen, configured_claude
from prodigy.cli.claude_variables import claude_variables
from prodigy.cli.invocation import Invocation
from prodigy.cli.replacement import Replacement
from prodigy.cli.session import Session
from prodigy.errors import RunError, WorkflowError
from prodigy.events import Backend, DlqRetryStarted
from prodigy.job.plan import RunPlan
from prodigy.job.state import JobState
from prodigy.job.summary import recorded as known
from prodigy.steps.masking import MASK, Masker
from prodigy.steps.redaction import masked
from prodigy.store.asked import asked, write_asked
from prodigy.store.filesystems import require_local
from prodigy.store.locks import JobLock
from prodigy.store.repos import where
from prodigy.store.runs import Run
from prodigy.store.snapshots import Folded, opened, renewed
from prodigy.workflow.layers import environments
from prodigy.workflow.model import Budget

Ending = Callable[[], int]
"""Says how it ended, when the run is nobody's own any more; the exit code."""


class Continuation:
    """One run on its way back.

    Args:
        invocation: who asks.
        run: which one.
        merge: the answer to the question of the final merge, if it was given ahead.
        strict: whether items that failed make the exit code 1.
        seen: what was recorded when somebody looked last, so that it need not be read twice.
    """

    def __init__(
        self,
        invocation: Invocation,
        run: Run,
        merge: Answer | None,
        *,
        strict: bool,
        seen: Folded | None = None,
    ) -> None:
        self._invocation = invocation
        self._printer = invocation.printer
        self._around = invocation.around
        self._run = run
        self._merge = merge
        self._strict = strict
        self._seen = seen

    async def run(self) -> int:
        """Go on to the end and return the exit code; what is read holds from when the run is this process's own.

        Raises:
            RunError: ``already-running``, ``journal-corrupt``, and as ``go_on``.
            MachineError: ``storage-denied``: the home is on a network file system.
        """
        require_shallow(self._around.environ)
        require_local(self._invocation.home, self._around.environ)
        lock = self._run.layout.job_lock(self._run.job_id)
        with JobLock.acquire(lock, since=self._around.now(), argv=self._invocation.argv):
            found = self._found()
            for note in found.notes:
                self._printer.note(note)
            ending = await self.go_on(found)
        return ending()

    def _found(self) -> Folded:
        layout, job, seen = self._run.layout, self._run.job_id, self._seen
        self._seen = None
        return opened(layout, job) if seen is None else renewed(seen, layout, job)

    async def go_on(self, found: Folded) -> Ending:
        """Go on with what is recorded."""
        raise NotImplementedError

    def _backend(self, agent: Chosen | None) -> Backend | None:
        """What Claude steps run from now on, if that is said anew."""
        return None if agent is None else agent.settled(self._run.layout.state(self._run.job_id))

    def _changed_settings(self, plan: RunPlan, *, taken: bool) -> tuple[str, ...]:
        """What the configuration says otherwise than when the run was begun; that is told unless it is taken."""
        if plan.configured is None:
            return ()
        changed = self._invocation.configuration.changed(plan.configured)
        if changed and not taken:
            names = ", ".join(f"`{key}`" for key in changed)
            self._printer.note(
                f"the configuration says otherwise than when the run was begun: {names}; what is recorded is used,"
                " `--reload` takes it as it is now"
            )
        return changed

    def _reloaded(self, plan: RunPlan, settings: tuple[str, ...], *, taken: bool) -> Chosen | None:
        """How Claude is launched by now, where the configuration says that otherwise and is taken."""
        otherwise = taken and any(key.startswith("claude.") for key in settings)
        return configured_claude(self._invocation) if otherwise and plan.backend.name == CLAUDE else None

    def _asked(self, state: JobState) -> RunPlan:
        """What the run was asked to do, with the workflow in force.

        Raises:
            RunError: ``plan-lost``.
        """
        plan = asked(self._run.layout, self._run.job_id, state.workflow_sha256)
        if plan is None:
            raise RunError(
                "plan-lost",
                "What the run was asked to do cannot be read any more",
                where=str(self._run.layout.state(self._run.job_id) / "job.json"),
                hint=f"merge what is there with `prodigy worktree merge {self._run.job_id} --force`",
            )
        return plan

    async def _live(
        self,
        plan: RunPlan,
        found: Folded,
        ground: launch.Ground,
        answer: Answer | None,
        opening: Opening | None = None,
        replacement: Replacement | None = None,
        budget: Budget | None = None,
    ) -> Ending:
        """Start the tree again and let it come to its end.

        Args:
            plan: as it is in force.
            found: what is recorded.
            ground: the repository.
            answer: to the question of the final merge, if it was given ahead.
            opening: what the run goes on with; ``None``: as it was asked before.
            replacement: the workflow that takes the place of the one before; it is kept before that is recorded.
            budget: bounds that take the place of those in force.
        """
        _require_secrets(plan)
        lock = self._run.layout.workers_lock(plan.job_id)
        await end_survivors(
            plan.job_id, lock, left_behind(found.state), plan.workflow.grace, self._printer.note
        )
        prepared = await launch.prepare_environment(
            plan.workflow,
            ground,
            self._invocation.environ,
            plan.profile,
            plan.computed,
            claude_variables(self._invocation, plan.workflow, plan.backend.name),
        )
        retries = isinstance(opening, DlqRetryStarted)
        if retries or found.state.status != "completed":
            await check_claude(plan.workflow, plan.backend, prepared.seen_by_claude)
        plan = msgspec.structs.replace(plan, computed=dict(prepared.computed))
        if replacement is not None:
            self._keep(replacement, plan, prepared.masker, known(found.state.started_at))
        self._announce(plan, ground)
        retrying = retries or (found.state.retry is not None and found.state.status != "completed")
        session = Session(self._invocation, answer, strict=self._strict, retrying=retrying)
        tree = await session.live(plan, self._run.layout, ground, prepared, opening, found, budget)
        return lambda: session.ended(tree, self._run.layout.repo, prepared.masker)

    def _keep(self, taken: Replacement, plan: RunPlan, masker: Masker, begun: datetime) -> None:
        """Keep a workflow that takes the place of the one before where later processes find it."""
        kept = msgspec.structs.replace(taken.plan, computed=plan.computed)
        write_asked(self._run.layout, masked(kept, masker), masker.raw(taken.text), begun, replaces=True)

    async def _ground(self, plan: RunPlan) -> launch.Ground:
        """The repository as it is; the branch is the one that the run was begun on."""
        ground = await launch.survey(where(self._run.layout, plan.repository), self._around.environ)
        await launch.admit(ground, plan.workflow)
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
