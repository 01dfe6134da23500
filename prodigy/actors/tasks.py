"""Makes what is sent to agents: variables, environment, log folders and limits of one attempt or phase."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec

from prodigy import ids
from prodigy.actors.recorder import Ledger
from prodigy.actors.slots import Leased
from prodigy.events import Phase
from prodigy.ids import JobId
from prodigy.job.items import item_text
from prodigy.job.plan import RunPlan
from prodigy.job.results import map_variables
from prodigy.job.state import ItemState
from prodigy.paths import Layout
from prodigy.steps.protocol import AgentTask, Outcome
from prodigy.steps.variables import Variables
from prodigy.workflow.model import Step

MAX_ITEM_JSON = 64 * 1024
"""Bytes of ``PRODIGY_ITEM_JSON``; larger items reach commands by ``${item_json}`` in their text only."""


class TaskFactory:
    """Knows the plan, the folders and the environment that all children share.

    Args:
        plan: the run.
        layout: the repository's folders.
        ledger: the run as recorded.
        environment: what every child inherits.
    """

    def __init__(self, plan: RunPlan, layout: Layout, ledger: Ledger, environment: Mapping[str, str]) -> None:
        self._plan = plan
        self._layout = layout
        self._ledger = ledger
        self._environment = environment

    @property
    def job_id(self) -> JobId:
        """The job that all tasks belong to."""
        return self._plan.job_id

    @property
    def session_worktree(self) -> Path:
        """Where phases other than map run."""
        return self._layout.session_worktree(self._plan.session_id)

    def scope(self) -> Variables:
        """The variables that every phase knows, for texts that the coordinator itself renders."""
        return Variables(self._common(str(self.session_worktree)))

    def agent(
        self, item: ItemState, agent_id: ids.AgentId, attempt: int, leased: Leased, base: str, branch: str
    ) -> AgentTask:
        """One attempt at one item."""
        phase = self._plan.workflow.map
        assert phase is not None
        total = self._ledger.state.total
        item_json = msgspec.json.encode(item.item).decode()
        variables = {
            **self._common(leased.path),
            "item": item.item,
            "item_id": item.item_id,
            "item_index": item.index,
            "item_total": total,
            "item_json": item_json,
            "agent": {"id": agent_id, "attempt": attempt, "branch": branch},
        }
        environment = {
            **self._phase_environment("map", leased.path),
            "PRODIGY_ITEM_ID": item.item_id,
            "PRODIGY_ITEM_INDEX": str(item.index),
            "PRODIGY_ITEM_TOTAL": str(total),
            "PRODIGY_AGENT_ID": agent_id,
            "PRODIGY_ATTEMPT": str(attempt),
            "PRODIGY_CORRELATION_ID": str(self._correlation(item.item_id)),
        }
        if len(item_json) <= MAX_ITEM_JSON:
            environment["PRODIGY_ITEM_JSON"] = item_json
        return AgentTask(
            job_id=self.job_id,
            workflow_name=self._plan.workflow.name,
            phase="map",
            worktree=leased.path,
            head=base,
            base_commit=base,
            steps=phase.agent_template,
            logs=str(self._layout.logs(self.job_id) / "map" / item.item_id / str(attempt)),
            correlation_id=self._correlation(item.item_id),
            item_id=item.item_id,
            item_text=item_text(item.item, item.item_id),
            agent_id=agent_id,
            attempt=attempt,
            grace=self._plan.workflow.grace,
            timeout=phase.agent_timeout,
            variables=variables,
            environment=environment,
        )

    def phase(
        self,
        phase: Phase,
        steps: tuple[Step, ...],
        worktree: str,
        head: str,
        *,
        timeout: float | None = None,
        prefix: str = "",
        outcomes: Mapping[str, Outcome] | None = None,
    ) -> AgentTask:
        """The steps of a phase in the session worktree."""
        variables = self._common(worktree)
        environment = self._phase_environment(phase, worktree)
        if phase == "reduce" and self._plan.workflow.map is not None:
            results = str(self._layout.state(self.job_id) / "results.json")
            variables["map"] = map_variables(self._ledger.state, results)
            environment |= {
                "PRODIGY_MAP_RESULTS_FILE": results,
                "PRODIGY_MAP_TOTAL": str(variables["map"]["total"]),
                "PRODIGY_MAP_SUCCESSFUL": str(variables["map"]["successful"]),
                "PRODIGY_MAP_FAILED": str(variables["map"]["failed"]),
            }
        return AgentTask(
            job_id=self.job_id,
            workflow_name=self._plan.workflow.name,
            phase=phase,
            worktree=worktree,
            head=head,
            base_commit=head,
            steps=steps,
            logs=str(self._layout.logs(self.job_id) / phase / "-" / "1"),
            correlation_id=self._correlation(None),
            grace=self._plan.workflow.grace,
            timeout=timeout,
            prefix=prefix,
            variables=variables,
            environment=environment,
            outcomes=dict(outcomes or {}),
        )

    def _correlation(self, item_id: str | None) -> Any:
        job = self._ledger.state.correlation_id
        assert job is not None, "the job has started"
        return ids.correlation(job, item_id)

    def _common(self, worktree: str) -> dict[str, Any]:
        plan = self._plan
        started = self._ledger.state.started_at
        return {
            "workflow": {
                "name": plan.workflow.name,
                "id": plan.job_id,
                "session_id": plan.session_id,
                "iteration": 1,
                "started_at": started.isoformat() if started else None,
            },
            "job_id": plan.job_id,
            "session_id": plan.session_id,
            "branch": plan.original_branch,
            "PROJECT_ROOT": worktree,
            "WORKTREE": worktree.rsplit("/", 1)[-1],
            "ITERATION": 1,
        }

    def _phase_environment(self, phase: Phase, worktree: str) -> dict[str, str]:
        return {
            **self._environment,
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
