"""What is about to be run: a checked workflow on a known commit, with every id and choice made.

Pure; crosses processes as msgspec. Made once at the start of a run and kept in ``job.json``.
"""

from msgspec import Struct, structs

from prodigy import ids
from prodigy.events import JobStarted, Phase
from prodigy.ids import JobId, SessionId
from prodigy.workflow.model import StepList, Workflow


class RunPlan(Struct, frozen=True, kw_only=True):
    """A run before it starts. Paths are absolute; ``base_commit`` is a full sha."""

    job_id: JobId
    session_id: SessionId
    workflow: Workflow
    workflow_path: str
    workflow_sha256: str
    repository: str
    """The user's main worktree."""
    base_commit: str
    original_branch: str
    target_fallback: str | None = None
    argv: tuple[str, ...] = ()
    version: str = ""

    @property
    def kind(self) -> ids.Kind:
        """``workflow`` or ``mapreduce``."""
        return "mapreduce" if self.job_id.startswith("mapreduce-") else "workflow"

    @property
    def branch(self) -> str:
        """The session branch."""
        return ids.session_branch(self.session_id)

    @property
    def max_parallel(self) -> int:
        """How many agents may run at a time."""
        return self.workflow.map.max_parallel if self.workflow.map is not None else 1

    def phases(self) -> tuple[Phase, ...]:
        """The phases in the order they run."""
        workflow = self.workflow
        present: list[tuple[Phase, object]] = [
            ("setup", workflow.setup),
            ("map", workflow.map),
            ("steps", workflow.steps),
            ("reduce", workflow.reduce),
        ]
        return tuple(phase for phase, body in present if body is not None)

    def step_list(self, phase: Phase) -> StepList:
        """The steps of a phase other than map; empty for one that the workflow lacks."""
        lists: dict[Phase, StepList | None] = {
            "setup": self.workflow.setup,
            "steps": self.workflow.steps,
            "reduce": self.workflow.reduce,
        }
        return lists.get(phase) or StepList(steps=())

    def started(self) -> JobStarted:
        """The first record of the journal."""
        return JobStarted(
            job_id=self.job_id,
            session_id=self.session_id,
            kind=self.kind,
            workflow_name=self.workflow.name,
            workflow_path=self.workflow_path,
            workflow_sha256=self.workflow_sha256,
            base_commit=self.base_commit,
            session_branch=self.branch,
            original_branch=self.original_branch,
            repository=self.repository,
            max_parallel=self.max_parallel,
            argv=self.argv,
            prodigy_version=self.version,
            target_fallback=self.target_fallback,
        )


def with_limits(workflow: Workflow, *, max_parallel: int | None, max_items: int | None) -> Workflow:
    """The workflow with the command line's bounds put over its own."""
    if workflow.map is None:
        return workflow
    chosen = structs.replace(
        workflow.map,
        max_parallel=max_parallel or workflow.map.max_parallel,
        max_items=workflow.map.max_items if max_items is None else max_items,
    )
    return structs.replace(workflow, map=chosen)


def plan_of(started: JobStarted) -> RunPlan:
    """What a journal's first record says of a plan: enough to merge and to clean up, without the workflow's steps."""
    return RunPlan(
        job_id=JobId(started.job_id),
        session_id=SessionId(started.session_id),
        workflow=Workflow(
            name=started.workflow_name, mode="mapreduce" if started.kind == "mapreduce" else "sequential"
        ),
        workflow_path=started.workflow_path,
        workflow_sha256=started.workflow_sha256,
        repository=started.repository,
        base_commit=started.base_commit,
        original_branch=started.original_branch,
        target_fallback=started.target_fallback,
        argv=started.argv,
        version=started.prodigy_version,
    )
