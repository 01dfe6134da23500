"""The end of a run: the question, the ``merge`` steps, ``verify``, the merge itself, and the cleaning up.

What cannot be done leaves branch and worktree as they are, and can be tried again by ``worktree merge``.
"""

from collections.abc import Awaitable, Callable
from contextlib import suppress
from datetime import datetime
from typing import Any, Literal

import msgspec

from prodigy import events
from prodigy.actors.merger import foresee_final, merge_final
from prodigy.actors.phases import PhaseFactory
from prodigy.actors.recorder import Ledger, record
from prodigy.actors.resolver import ROUNDS
from prodigy.actors.services import Services
from prodigy.actors.workspaces import close_session, tidy_agents
from prodigy.errors import ProdigyError, RunError
from prodigy.events import Failure, Phase
from prodigy.job.plan import RunPlan
from prodigy.paths import worth_reading
from supervisors import ChildSpec

Answer = Literal["yes", "no", "eof", "no-tty", "flag-yes", "flag-no"]
AskMerge = Callable[[str, str], Awaitable[Answer]]
"""Asks whether to merge a session into a branch."""

VERIFICATIONS = 3
"""How often the merged tree is verified again because somebody moved the target meanwhile."""


class Conductor(msgspec.Struct, frozen=True):
    """What conducts a run, or its end."""

    plan: RunPlan
    ledger: Ledger
    ask_merge: AskMerge
    services: Services
    phases: PhaseFactory
    now: Callable[[], datetime]

    async def run_phase(self, phase: Phase, spec: ChildSpec[Any]) -> Failure | None:
        """Run a phase as an actor of its own; its failure, if it failed."""
        await self.services.crew.start_child(spec)
        await spec.ref.wait_stopped()
        done = self.ledger.state.phases.get(phase)
        if done is None or done.status == "running":
            return Failure(error_class="internal", message=f"The {phase} phase ended without a result")
        return done.error if done.status == "failed" else None

    # -- the final merge ---------------------------------------------------------------------------------------------
    async def finish(self) -> None:
        """Ask, merge, clean up; where nothing is to be merged now, the session stays with its branch.

        Raises:
            RunError: the merge cannot be done; branch and worktree are as they were.
        """
        plan, services = self.plan, self.services
        tip = self.ledger.state.tip
        if tip is None or tip == plan.base_commit:
            await self._nothing_to_merge()
            return
        answer = await self.ask_merge(plan.session_id, plan.target)
        await record(services.recorder, events.MergePrompted(target=plan.target, answer=answer))
        if answer in {"yes", "flag-yes"}:
            await self._merge_steps()
            await self._settle_conflict()
            await self._verify()
            await merge_final(services.merger)
            await close_session(services.workspaces)
        else:
            with suppress(ProdigyError):  # they stay until the run is merged, or cleaned up
                await tidy_agents(services.workspaces)

    async def _nothing_to_merge(self) -> None:
        if self.plan.step_list("merge").steps:
            skipped = events.PhaseSkipped(phase="merge", reason="there is nothing to merge")
            await record(self.services.recorder, skipped)
        await merge_final(self.services.merger)
        await close_session(self.services.workspaces)

    async def _merge_steps(self) -> None:
        """The ``merge`` block, unless it is done already."""
        done = self.ledger.state.phases.get("merge")
        if not self.plan.step_list("merge").steps or (done is not None and done.status == "completed"):
            return
        failure = await self.run_phase("merge", self.phases.spec("merge"))
        if failure is not None:
            raise _refused("the `merge` steps failed", failure)

    async def _settle_conflict(self) -> None:
        """Let Claude resolve what the target and the run both changed, where the workflow wants that.

        Raises:
            RunError: ``merge-conflict``: it could not.
        """
        for _ in range(ROUNDS if self.plan.on_conflict == "claude" else 0):
            try:
                await foresee_final(self.services.merger)
            except RunError as error:
                if error.code != "merge-conflict":
                    raise
                await self._resolve(error)
            else:
                return

    async def _resolve(self, conflict: RunError) -> None:
        seen = len(self.ledger.state.merges)
        spec = self.phases.resolving()
        await self.services.crew.start_child(spec)
        await spec.ref.wait_stopped()
        failed = self.ledger.state.merges[seen:]
        if failed:
            raise RunError(conflict.code, conflict.message, note=failed[-1].message)

    async def _verify(self) -> None:
        """``verify`` on the tree that the merge will give, and again if the target moves meanwhile."""
        if not self.plan.step_list("verify").steps:
            return
        for left in reversed(range(VERIFICATIONS + 1)):
            merged = await foresee_final(self.services.merger)
            if self._is_verified(merged.tree):
                return
            if not left:
                break
            failure = await self.run_phase("verify", self.phases.verifying(merged))
            if failure is not None:
                raise _refused("`verify` failed on the merged tree", failure)
        raise RunError(
            "merge-target-busy", f"{self.plan.target} was moved each time the merged tree had been verified"
        )

    def _is_verified(self, tree: str) -> bool:
        done = self.ledger.state.phases.get("verify")
        return done is not None and done.status == "completed" and done.tree == tree


def _refused(what: str, failure: Failure) -> RunError:
    log = worth_reading(failure.logs)
    return RunError(
        "merge-failed",
        f"Nothing was merged: {what}: {failure.message}",
        note=None if log is None else f"full log: `{log}`",
    )
