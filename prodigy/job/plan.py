"""What is about to be run: a checked workflow on a known commit, with every id and choice made.

Pure; crosses processes as msgspec. Made once at the start of a run and kept in ``job.json``.
"""

import hashlib
from collections.abc import Sequence
from typing import Any, get_args

from msgspec import Struct, json, structs, to_builtins

from prodigy import ids
from prodigy.events import Backend, JobStarted, Phase
from prodigy.ids import JobId, SessionId
from prodigy.job.overrides import Overrides, overridden
from prodigy.workflow.layers import within
from prodigy.workflow.model import Claude, Deferred, ErrorPolicy, OnConflict, Step, StepList, Workflow


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
    merge_target: str | None = None
    """The branch that ``merge.target`` names."""
    branch_number: int = 0
    """How many branches the session had before; see ``JobState.branch_number``."""
    auto_merge: bool = False
    """Whether the final merge is agreed to beforehand."""
    profile: str | None = None
    """Of the environment."""
    computed: dict[str, str] = {}
    """What commands of the environment printed that run once per run; see ``actors.preparing``."""
    arguments: tuple[str, ...] = ()
    """The values of ``--args`` and ``--map``; a plain workflow runs once for each."""
    argument_inherited: bool = False
    """Whether the only value comes from ``PRODIGY_ARG`` instead."""
    map_patterns: tuple[str, ...] = ()
    iterations: int = 1
    """How often a plain workflow is repeated at most."""
    fail_fast: bool = False
    backend: Backend = Backend()
    """What ``claude:`` steps run."""
    flags: Overrides = Overrides()
    """What the command line put over the workflow's own choices; the workflow is the one that its file says."""
    configured: dict[str, Any] | None = None
    """What configuration said that holds for the whole run, by key; ``None``: of a run that did not record it."""
    older: tuple[str, ...] = ()
    """Dead letters of an older program that it took for its items, as ``{job}/{item}``."""
    argv: tuple[str, ...] = ()
    version: str = ""

    @property
    def kind(self) -> ids.Kind:
        """``workflow`` or ``mapreduce``."""
        return "mapreduce" if self.job_id.startswith("mapreduce-") else "workflow"

    @property
    def branch(self) -> str:
        """The session branch."""
        return ids.session_branch(self.session_id, self.branch_number)

    @property
    def template_sha256(self) -> str | None:
        """The digest of what each agent does, wherever in the file it stands; ``None`` without a map phase."""
        if self.workflow.map is None:
            return None
        steps = without_places(to_builtins(self.workflow.map.agent_template))
        return hashlib.sha256(json.encode(steps, order="sorted")).hexdigest()

    @property
    def target(self) -> str:
        """The branch that the work is for."""
        return self.merge_target or self.original_branch

    @property
    def max_parallel(self) -> int | None:
        """How many agents may run at a time; ``None`` if that is known only when the map phase begins."""
        if self.workflow.map is None:
            return 1
        known = self.workflow.map.max_parallel
        return None if isinstance(known, Deferred) else known

    @property
    def merges_by_steps(self) -> bool:
        """Whether the final merge may take steps: the workflow's own, or one that resolves conflicts."""
        return self.workflow.merge is not None or bool(self.workflow.verify) or self.on_conflict == "claude"

    @property
    def on_conflict(self) -> OnConflict:
        """What is done about work that collides: what the workflow says, else what it is able to."""
        return _said(self.workflow) or ("claude" if uses_claude(self.workflow) else "rerun")

    @property
    def values(self) -> int:
        """How many values the steps run for, one by one; 1 if there is none."""
        return max(1, len(self.arguments))

    @property
    def repeats(self) -> bool:
        """Whether the steps of a plain workflow may run more than once."""
        return self.workflow.map is None and (self.values > 1 or self.iterations > 1)

    def argument(self, iteration: int) -> str | None:
        """``$ARG`` of an iteration, which count from 1."""
        return self.arguments[(iteration - 1) % len(self.arguments)] if self.arguments else None

    def phases(self) -> tuple[Phase, ...]:
        """The phases that do the work, in the order they run."""
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
        workflow = self.workflow
        match phase:
            case "setup" | "steps" | "reduce" | "merge":
                found: StepList | None = getattr(workflow, phase)
                return found or StepList(steps=())
            case "on_success" | "on_failure" | "verify":
                return StepList(steps=getattr(workflow, phase))
            case _:
                return StepList(steps=())

    def steps(self) -> dict[Phase, int]:
        """How many steps each phase has; of map, those of each agent. Absent phases are left out."""
        template = self.workflow.map.agent_template if self.workflow.map is not None else ()
        return {**self.step_counts(), **({"map": len(template)} if template else {})}

    def step_counts(self) -> dict[Phase, int]:
        """How many steps each phase has, map and absent phases left out."""
        counted = ((phase, len(self.step_list(phase).steps)) for phase in get_args(Phase))
        return {phase: number for phase, number in counted if number}

    def failures_told(self) -> int | None:
        """After how many failed items they are told together; ``None``: all of them when the map phase ends."""
        policy = self.workflow.map.policy if self.workflow.map is not None else ErrorPolicy()
        match policy.error_collection:
            case "immediate":
                return 1
            case "batched":
                return max(1, policy.batch)
            case "aggregate":
                return None

    def started(self) -> JobStarted:
        """The first record of the journal."""
        return JobStarted(
            job_id=self.job_id,
            session_id=self.session_id,
            kind=self.kind,
            workflow_name=self.workflow.name,
            workflow_path=self.workflow_path,
            workflow_sha256=self.workflow_sha256,
            template_sha256=self.template_sha256,
            base_commit=self.base_commit,
            session_branch=self.branch,
            original_branch=self.original_branch,
            repository=self.repository,
            max_parallel=self.max_parallel or 1,
            argv=self.argv,
            prodigy_version=self.version,
            target_fallback=self.target_fallback,
            merge_target=self.merge_target,
            profile=self.profile,
            computed=self.computed,
            arguments=self.arguments,
            map_patterns=self.map_patterns,
            iterations=self.iterations,
            fail_fast=self.fail_fast,
            backend=self.backend,
            steps=self.steps(),
        )


def with_flags(plan: RunPlan, *later: Overrides) -> RunPlan:
    """The plan with its flags put over its workflow, and those that were given later over them."""
    flags = plan.flags
    for more in later:
        flags = flags.then(more)
    workflow = overridden(plan.workflow, flags)
    return structs.replace(plan, workflow=workflow, backend=flags.backend or plan.backend)


def resolves_with_claude(workflow: Workflow) -> bool:
    """Whether a workflow asks for Claude where work collides."""
    return _said(workflow) == "claude"


def _said(workflow: Workflow) -> OnConflict | None:
    return (workflow.map.on_conflict if workflow.map is not None else None) or workflow.on_conflict


def uses_claude(part: Workflow | Sequence[Step]) -> bool:
    """Whether any step of a workflow, or of steps, wherever it stands, launches Claude."""
    return any(isinstance(step.action, Claude) for step in within(part, Step))


def needs_claude(workflow: Workflow) -> bool:
    """Whether a run of the workflow may launch Claude."""
    return uses_claude(workflow) or resolves_with_claude(workflow)


def without_places(value: Any) -> Any:
    """Plain data of the workflow without the places in its file, so that equal steps are equal wherever they stand."""
    match value:
        case dict():
            kept = {key: part for key, part in value.items() if key != "mark" and not key.endswith("_mark")}
            return {key: without_places(part) for key, part in kept.items()}
        case list() | tuple():
            return [without_places(part) for part in value]
        case _:
            return value


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
        merge_target=started.merge_target,
        profile=started.profile,
        computed=started.computed,
        arguments=started.arguments,
        map_patterns=started.map_patterns,
        iterations=started.iterations,
        fail_fast=started.fail_fast,
        backend=started.backend,
        argv=started.argv,
        version=started.prodigy_version,
    )
