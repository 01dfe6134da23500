"""Makes what is sent to agents: variables, environment, log folders and limits of one attempt or phase."""

from collections.abc import Mapping
from functools import cached_property
from pathlib import Path
from typing import Any, Final
from uuid import UUID

import msgspec
from msgspec import structs

from prodigy import ids
from prodigy.actors.preparing import Prepared
from prodigy.actors.recorder import Ledger
from prodigy.actors.slots import Leased
from prodigy.events import ClaudeUse, Phase
from prodigy.ids import JobId
from prodigy.job.aggregates import aggregates
from prodigy.job.items import item_text
from prodigy.job.iterations import argument_roots, numbered_arguments
from prodigy.job.plan import RunPlan
from prodigy.job.results import map_variables
from prodigy.job.state import ItemState, leaves_of
from prodigy.job.streams import read_apart
from prodigy.job.timing import attempt_limit, timed_steps
from prodigy.paths import Layout
from prodigy.steps.backend import AgentBackend
from prodigy.steps.backends import opened
from prodigy.steps.protocol import SETUP, AgentTask, Outcome
from prodigy.steps.variables import Variables
from prodigy.workflow.deferred import seconds, settled
from prodigy.workflow.model import MapPhase, Step
from prodigy.workflow.scope import old_item_names

AFTER_MAP: Final[frozenset[Phase]] = frozenset({"reduce", "merge", "on_success", "on_failure"})
_AFTER_REDUCE: Final = AFTER_MAP - {"reduce"}
"""Phases that can read what became of the items."""
MAX_ARGUMENTS = 128 * 1024
"""Characters of all ``ARG_n`` together; longer lists reach commands by reference in their text only."""
MAX_ITEM_JSON = 64 * 1024
"""Bytes of ``PRODIGY_ITEM_JSON``; larger items reach commands by ``PRODIGY_ITEM_FILE`` and by text only."""


class TaskFactory:
    """Knows the plan, the folders and the environment that all children share.

    Args:
        plan: the run.
        layout: the repository's folders.
        ledger: the run as recorded.
        environment: what every child inherits.
        prepared: what the workflow declares of it, by phase.
        common_dir: what all worktrees of the repository share.
    """

    def __init__(
        self,
        plan: RunPlan,
        layout: Layout,
        ledger: Ledger,
        environment: Mapping[str, str],
        prepared: Prepared,
        common_dir: str,
    ) -> None:
        self._plan = plan
        self._common_dir = common_dir
        self._layout = layout
        self._state = layout.state(plan.job_id)
        self._ledger = ledger
        self._environment = environment
        self._prepared = prepared
        self._read_apart = tuple(sorted(read_apart(plan.workflow)))
        self._numbered = numbered_arguments(plan.workflow) if plan.arguments else frozenset()

    @property
    def job_id(self) -> JobId:
        """The job that all tasks belong to."""
        return self._plan.job_id

    @property
    def session_worktree(self) -> Path:
        """Where phases other than map run."""
        return self._layout.session_worktree(self._plan.session_id)

    @property
    def results_file(self) -> str:
        """Where ``${map.results}`` lies as a file."""
        return str(self._state / "results.json")

    def item_file(self, item_id: str) -> Path:
        """Where an item lies as a file, for its agents."""
        return self._state / "items" / f"{item_id}.json"

    def scope(self, phase: Phase) -> Variables:
        """The variables that a phase knows when it begins, for texts that the coordinator itself renders."""
        worktree = str(self.session_worktree)
        return Variables(
            self._common(phase, worktree),
            fields=self._common_fields(),
            environment=self._common_environment(phase, worktree),
            declared=self._prepared.declared(phase),
            secrets=self._prepared.secrets(phase),
        )

    def first_scope(self) -> Variables:
        """The variables that are known when the run begins."""
        return self.scope(next(iter(self._plan.phases()), "steps"))

    def map_phase(self) -> MapPhase:
        """The map phase with every value known, by what the phases before it left.

        Raises:
            TemplateError: a value that is written as a reference leads nowhere, or is not of its kind.
        """
        phase = self._plan.workflow.map
        assert phase is not None
        own = structs.replace(phase, agent_template=())
        return structs.replace(settled(own, self.scope("map")), agent_template=phase.agent_template)

    def merge_patience(self) -> float | None:
        """Seconds that the final merge may take: as long as the ``merge`` steps, where there are any.

        Raises:
            TemplateError: that is a reference which leads nowhere, or to no time.
        """
        workflow = self._plan.workflow
        if workflow.merge is None:
            return workflow.merge_timeout
        return seconds(settled(workflow.merge.timeout, self.scope("merge")))

    def without_secrets(
        self, phase: MapPhase, content: bytes | None, name: str
    ) -> tuple[MapPhase, bytes | None, str]:
        """What items are made of, with names in the place of secrets, so that no item, and no id, holds one."""
        masker = self._prepared.masker
        if not masker:
            return phase, content, name
        given = structs.replace(phase.input, items=masker.named(phase.input.items))
        return (
            structs.replace(phase, input=given),
            None if content is None else masker.named_bytes(content),
            name,
        )

    # -- agents ------------------------------------------------------------------------------------------------------
    def agent(
        self,
        phase: MapPhase,
        item: ItemState,
        agent_id: ids.AgentId,
        attempt: int,
        leased: Leased,
        base: str,
        branch: str,
    ) -> AgentTask:
        """One attempt at one item; ``phase`` is the settled map phase."""
        item_json = msgspec.json.encode(self._prepared.masker.reveal(item.item)).decode()
        correlation = self._correlation(item.item_id)
        task = self._task("map", leased.path, base)
        known = old_item_names(item.item) | task.variables
        if self._plan.argument_inherited:
            known |= {"ARG": old_item_names(item.item)["ARG"]}
        variables = {
            "item": item.item,
            "item_id": item.item_id,
            "item_index": item.index,
            "item_total": self._ledger.state.total,
            "item_json": item_json,
            "item_file": str(self.item_file(item.item_id)),
            "agent": {"id": agent_id, "attempt": attempt, "branch": branch},
            "worker": {"id": leased.slot},
        }
        environment = {
            "item_id": item.item_id,
            "item_index": str(item.index),
            "PRODIGY_ITEM_ID": item.item_id,
            "PRODIGY_ITEM_INDEX": str(item.index),
            "PRODIGY_ITEM_TOTAL": str(self._ledger.state.total),
            "PRODIGY_ITEM_FILE": str(self.item_file(item.item_id)),
            "PRODIGY_AGENT_ID": agent_id,
            "PRODIGY_WORKER_ID": str(leased.slot),
            "PRODIGY_ATTEMPT": str(attempt),
            "PRODIGY_CORRELATION_ID": str(correlation),
        }
        if len(item_json) <= MAX_ITEM_JSON:
            environment["PRODIGY_ITEM_JSON"] = item_json
        return structs.replace(
            task,
            steps=timed_steps(phase),
            logs=str(self._layout.step_logs(self.job_id, "map", item.item_id, attempt)),
            correlation_id=correlation,
            item_id=item.item_id,
            item_text=item_text(item.item, item.item_id),
            conversations=_of("map", leaves_of(item).conversations),
            put_aside=item.put_aside,
            agent_id=agent_id,
            attempt=attempt,
            grace=self._plan.workflow.grace if phase.timeouts.grace is None else phase.timeouts.grace,
            timeout=seconds(attempt_limit(phase)),
            limits=phase.limits,
            variables=known | variables,
            environment=task.environment | environment,
        )

    # -- phases ------------------------------------------------------------------------------------------------------
    def phase(
        self,
        phase: Phase,
        steps: tuple[Step, ...],
        head: str,
        *,
        worktree: str | None = None,
        timeout: float | None = None,
        prefix: str = "",
        outcomes: Mapping[str, Outcome] | None = None,
        variables: Mapping[str, Any] | None = None,
    ) -> AgentTask:
        """The steps of a phase, in the session worktree unless it says another.

        Args:
            phase: which one; what it can read follows from that.
            steps: what to run.
            head: the commit that the worktree stands on.
            worktree: absolute path.
            timeout: seconds for all of them together.
            prefix: put before the steps' paths.
            outcomes: what of it is recorded already.
            variables: further roots.
        """
        task = self._task(phase, worktree or str(self.session_worktree), head)
        own = self._of_phase(phase)
        return structs.replace(
            task,
            steps=steps,
            timeout=timeout,
            prefix=prefix,
            outcomes=dict(outcomes or {}),
            conversations=_of(phase, self._ledger.state.conversations),
            put_aside=self._ledger.state.put_aside,
            variables=task.variables | own | dict(variables or {}),
            fields=task.fields | self._fields_of_phase(phase),
            environment=task.environment | self._environment_of_phase(phase),
        )

    def _of_phase(self, phase: Phase) -> dict[str, Any]:
        """Roots that only some phases know."""
        roots: dict[str, Any] = {}
        state = self._ledger.state
        if phase in AFTER_MAP and self._plan.workflow.map is not None:
            about = map_variables(state, self.results_file)
            own = aggregates(
                self._plan.workflow.map.variables,
                about["results"],
                self.scope(phase),
                lenient=phase == "on_failure",
            )
            roots |= own | {"map": about | own}
        if phase in _AFTER_REDUCE and (reduced := state.phases.get("reduce")):
            roots |= reduced.variables
        if phase == "on_failure":
            roots["error"] = self._error()
        return roots

    def _fields_of_phase(self, phase: Phase) -> dict[str, dict[str, Any]]:
        """Fields of variables that only some phases know."""
        reduced = self._ledger.state.phases.get("reduce") if phase in _AFTER_REDUCE else None
        return {} if reduced is None else reduced.fields

    def _error(self) -> dict[str, Any]:
        """``${error.…}`` of the phase that failed."""
        phases = reversed(self._ledger.state.phases.values())
        failure = next((phase.error for phase in phases if phase.error is not None), None)
        if failure is None:
            return {}
        return {
            "message": failure.message,
            "exit_code": failure.exit_code,
            "signal": failure.signal,
            "step": failure.step_name or failure.step,
            "class": failure.error_class,
            "log": failure.logs[0] if failure.logs else None,
        }

    def _environment_of_phase(self, phase: Phase) -> dict[str, str]:
        environment: dict[str, str] = {}
        if phase in AFTER_MAP and self._plan.workflow.map is not None:
            state = self._ledger.state
            environment |= {
                "PRODIGY_MAP_RESULTS_FILE": self.results_file,
                "PRODIGY_MAP_TOTAL": str(len(state.items)),
                "PRODIGY_MAP_SUCCESSFUL": str(state.counts["done"]),
                "PRODIGY_MAP_FAILED": str(state.counts["failed"]),
            }
        if phase == "merge":
            environment |= {
                "PRODIGY_MERGE_SOURCE": self._plan.branch,
                "PRODIGY_MERGE_TARGET": self._plan.target,
            }
        return environment

    def of_item(self, task: AgentTask, item: ItemState) -> AgentTask:
        """A task of a phase, as one of an item: its events name the item, its logs are kept apart."""
        return structs.replace(
            task,
            item_id=item.item_id,
            item_text=item_text(item.item, item.item_id),
            conversations=_of(task.phase, leaves_of(item).conversations),
            put_aside=item.put_aside,
            agent_id=item.agent_id,
            attempt=item.attempts,
            correlation_id=self._correlation(item.item_id),
            logs=str(self._layout.logs(self.job_id) / task.phase / item.item_id / str(item.attempts)),
        )

    # -- worktrees ---------------------------------------------------------------------------------------------------
    @property
    def worktrees_are_set_up(self) -> bool:
        """Whether a fresh worktree needs steps to be run in it."""
        return bool(self._plan.workflow.worktree.setup)

    def worktree_setup(self, task: AgentTask) -> AgentTask:
        """What sets up the worktree of a task: in its place and within its limits, but knowing nothing of its item."""
        bare = self._task(task.phase, task.worktree, task.head)
        steps = (structs.replace(step, auto_commit=False) for step in self._plan.workflow.worktree.setup)
        return structs.replace(
            task,
            steps=tuple(steps),
            prefix=SETUP,
            base_commit=task.head,
            base_tree=None,
            outcomes={},
            variables=bare.variables,
            fields=bare.fields,
            environment=bare.environment,
        )

    # -- what all share ----------------------------------------------------------------------------------------------
    def _task(self, phase: Phase, worktree: str, head: str) -> AgentTask:
        """A task without steps, and without what only some tasks have."""
        return AgentTask(
            job_id=self.job_id,
            workflow_name=self._plan.workflow.name,
            phase=phase,
            worktree=worktree,
            head=head,
            base_commit=head,
            common_dir=self._common_dir,
            workflow_base=self._plan.base_commit,
            steps=(),
            logs=str(self._layout.step_logs(self.job_id, phase)),
            correlation_id=self._correlation(None),
            grace=self._plan.workflow.grace,
            variables=self._common(phase, worktree),
            fields=self._common_fields(),
            environment=self._common_environment(phase, worktree),
            for_claude=self._prepared.for_claude(phase),
            secrets=self._prepared.secrets(phase),
            declared=self._prepared.declared(phase),
            later=self._prepared.later(phase),
            profile=self._prepared.profile,
            max_capture=self._plan.workflow.max_capture,
            read_apart=self._read_apart,
            backend=self._plan.backend,
        )

    def _correlation(self, item_id: str | None) -> UUID:
        job = self._ledger.state.correlation_id
        assert job is not None, "the job has started"
        return ids.correlation(job, item_id)

    def _iteration(self, phase: Phase) -> tuple[int, int]:
        """How often the steps began to run, and the iteration whose value counts in a phase.

        Other phases than ``steps`` are for all values; they see the first.
        """
        begun = self._ledger.state.iterations
        number = begun[-1].number if begun else 1
        return number, number if phase == "steps" else 1

    def _common(self, phase: Phase, worktree: str) -> dict[str, Any]:
        """The roots that every phase knows: ours, then parameters, then what setup captured."""
        plan, state = self._plan, self._ledger.state
        iteration, of_value = self._iteration(phase)
        own = {
            "workflow": {
                "name": plan.workflow.name,
                "id": plan.job_id,
                "session_id": plan.session_id,
                "iteration": iteration,
                "started_at": state.started_at.isoformat() if state.started_at else None,
                "duration": (state.updated_at - state.started_at).total_seconds()
                if state.started_at and state.updated_at
                else 0.0,
            },
            "job_id": plan.job_id,
            "session_id": plan.session_id,
            "branch": plan.original_branch,
            "PROJECT_ROOT": worktree,
            "WORKTREE": worktree.rsplit("/", 1)[-1],
            "ITERATION": iteration,
            **argument_roots(plan, of_value, self._numbered),
        }
        setup = state.phases.get("setup")
        captured = setup.variables if setup is not None else {}
        return own | plan.workflow.parameters | captured | {"setup": captured}

    @cached_property
    def backend(self) -> AgentBackend:
        """What ``claude:`` steps of the run launch."""
        return opened(self._plan.backend)

    def environment_of(self, phase: Phase) -> Mapping[str, str]:
        """What Claude inherits in a phase."""
        common = self._common_environment(phase, str(self.session_worktree))
        return common | self._prepared.for_claude(phase)

    def logs_of(self, phase: Phase, item_id: str | None, attempt: int) -> Path:
        """Folder of the logs of an attempt at an item, or of a phase."""
        return self._layout.step_logs(self.job_id, phase, item_id, attempt)

    @property
    def hides_secrets(self) -> bool:
        """Whether there are secrets, so that logs do not say all that was printed."""
        return bool(self._prepared.masker)

    def _common_fields(self) -> dict[str, dict[str, Any]]:
        """Fields of what setup captured, by both its names."""
        setup = self._ledger.state.phases.get("setup")
        return {} if setup is None else setup.fields | {"setup": setup.fields}

    def _common_environment(self, phase: Phase, worktree: str) -> dict[str, str]:
        agreed = (
            {"PRODIGY_AUTO_MERGE": "true", "PRODIGY_AUTO_CONFIRM": "true"} if self._plan.auto_merge else {}
        )
        value = self._plan.argument(self._iteration(phase)[1])
        given = {} if value is None else {"PRODIGY_ARG": value, "ARG": value}
        if sum(map(len, self._plan.arguments)) <= MAX_ARGUMENTS:
            given |= {f"ARG_{number}": text for number, text in enumerate(self._plan.arguments, 1)}
        return {
            "PRODIGY_CLAUDE_STREAMING": "true",
            **self._environment,
            **self._prepared.values(phase),
            **agreed,
            **given,
            "PRODIGY_AUTOMATION": "true",
            "PRODIGY_JOB_ID": self._plan.job_id,
            "PRODIGY_SESSION_ID": self._plan.session_id,
            "PRODIGY_WORKFLOW": self._plan.workflow.name,
            "PRODIGY_PHASE": phase,
            "PRODIGY_ATTEMPT": "1",
            "PRODIGY_WORKTREE": worktree,
            "PRODIGY_PROJECT_ROOT": worktree,
            # A step that breaks its worktree's .git must not reach a repository around our folders.
            "GIT_CEILING_DIRECTORIES": worktree.rpartition("/")[0],
            "PRODIGY_CORRELATION_ID": str(self._correlation(None)),
        }


def _of(phase: Phase, conversations: Mapping[str, ClaudeUse]) -> dict[str, ClaudeUse]:
    """Those of a phase, by the keys of its leaves."""
    mine = f"{phase}/"
    return {key.removeprefix(mine): use for key, use in conversations.items() if key.startswith(mine)}
