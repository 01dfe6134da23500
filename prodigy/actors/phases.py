"""Which actor runs which phase."""

from collections.abc import Callable
from datetime import datetime
from functools import partial
from typing import Any

from prodigy.actors.agent import AGENT_SHUTDOWN
from prodigy.actors.iterations import IterationsActor
from prodigy.actors.map_phase import MapActor
from prodigy.actors.phase import MergeActor, PhaseActor, StepsActor, VerifyActor
from prodigy.actors.recorder import Ledger
from prodigy.actors.services import Services
from prodigy.actors.tasks import TaskFactory
from prodigy.events import Phase
from prodigy.git.cli import Git
from prodigy.job.plan import RunPlan
from supervisors import ChildSpec, Restart


class PhaseFactory:
    """Makes the child specs of phases.

    Args:
        plan: the run.
        ledger: the run as recorded.
        tasks: makes what is sent to workers.
        services: what phases use.
        git: in the user's repository, to read only.
        now: the clock of the records.
    """

    def __init__(
        self,
        plan: RunPlan,
        ledger: Ledger,
        tasks: TaskFactory,
        services: Services,
        git: Git,
        now: Callable[[], datetime],
    ) -> None:
        self.tasks = tasks
        self._repeats = plan.repeats
        self._common = plan, ledger, tasks, services
        self._shutdown = plan.workflow.grace + AGENT_SHUTDOWN
        self._git = git
        self._now = now

    def spec(self, phase: Phase) -> ChildSpec[Any]:
        """A phase that is started again if it crashes, and not when it has ended."""
        match phase:
            case "map":
                return self._spec(phase, partial(MapActor, phase, *self._common, self._now))
            case "steps" if self._repeats:
                return self._spec(phase, partial(IterationsActor, phase, *self._common, self._git))
            case "merge":
                return self._spec(phase, partial(MergeActor, phase, *self._common, self._git))
            case _:
                return self._spec(phase, partial(StepsActor, phase, *self._common))

    def verifying(self, commit: str) -> ChildSpec[Any]:
        """The ``verify`` steps on a commit."""
        return self._spec("verify", partial(VerifyActor, "verify", *self._common, commit))

    def _spec(self, phase: Phase, start: Callable[[], PhaseActor]) -> ChildSpec[Any]:
        return ChildSpec(id=f"phase-{phase}", start=start, restart=Restart.TRANSIENT, shutdown=self._shutdown)
