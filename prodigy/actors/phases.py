"""Which actor runs which phase."""

from collections.abc import Callable
from functools import partial
from typing import Any

from prodigy.actors.agent import AGENT_SHUTDOWN
from prodigy.actors.iterations import IterationsActor
from prodigy.actors.map_phase import MapActor
from prodigy.actors.phase import MergeActor, PhaseActor, Setting, StepsActor, VerifyActor, WakingActor
from prodigy.actors.resolver import resolving
from prodigy.events import Phase
from prodigy.git.final import Foreseen
from supervisors import ChildSpec, Restart


class PhaseFactory:
    """Makes the child specs of the phases of a run, in its setting."""

    def __init__(self, setting: Setting) -> None:
        self.tasks = setting.tasks
        self._setting = setting
        self._shutdown = setting.plan.workflow.grace + AGENT_SHUTDOWN

    def spec(self, phase: Phase) -> ChildSpec[Any]:
        """A phase that is started again if it crashes, and not when it has ended."""
        match phase:
            case "map":
                kind: type[PhaseActor] = MapActor
            case "steps" if self._setting.plan.repeats:
                kind = IterationsActor
            case "merge":
                kind = MergeActor
            case _:
                kind = StepsActor
        return self._spec(phase, partial(kind, phase, self._setting))

    def verifying(self, merged: Foreseen) -> ChildSpec[Any]:
        """The ``verify`` steps on a merged tree."""
        return self._spec("verify", partial(VerifyActor, "verify", self._setting, merged))

    def resolving(self) -> ChildSpec[Any]:
        """What resolves a conflict of the final merge."""
        return resolving(None, self._setting)

    def waking(self, phase: Phase) -> ChildSpec[Any]:
        """What a phase that has ended left running."""
        return self._spec(phase, partial(WakingActor, phase, self._setting))

    def _spec(self, phase: Phase, start: Callable[[], PhaseActor]) -> ChildSpec[Any]:
        return ChildSpec(id=f"phase-{phase}", start=start, restart=Restart.TRANSIENT, shutdown=self._shutdown)
