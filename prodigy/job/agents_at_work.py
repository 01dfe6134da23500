"""Who is at work in a run by what is recorded: agents, their steps and the processes of these.

Pure. Phases that are no map are agents too, with no item and no name of their own.
"""

from collections.abc import Iterator
from datetime import datetime

from msgspec import Struct

from prodigy.events import Phase, StepIntended
from prodigy.job.items import item_text
from prodigy.job.state import JobState, Spawned
from prodigy.job.waiting import Waits, waits_for


class AgentAtWork(Struct, frozen=True, kw_only=True):
    """An agent, or a phase that is none, that has begun and has no end."""

    phase: Phase
    agent_id: str | None = None
    item_id: str | None = None
    text: str | None = None
    """What people call the item."""
    attempt: int = 1
    step: str | None = None
    name: str | None = None
    """What the step does."""
    began: datetime | None = None
    waits: Waits | None = None
    """What it waits for, if it is not at work."""
    processes: tuple[Spawned, ...] = ()
    """Of leaves without an outcome; they may have ended since."""

    @property
    def job(self) -> str:
        """What a worker calls it."""
        return self.agent_id or self.phase


def agents_at_work(state: JobState) -> list[AgentAtWork]:
    """Agents by index, then the phase that runs, if its steps are its own."""
    found = list(_agents(state))
    phase = state.phase
    if phase is not None and (phase != "map" or not found):
        known = state.phases.get(phase)
        if known is not None and known.status == "running":
            found.append(_phase(state, phase, known.started_at))
    return found


def _agents(state: JobState) -> Iterator[AgentAtWork]:
    for item in state.items.at_work():
        if item.status == "running":
            yield AgentAtWork(
                phase="map",
                agent_id=item.agent_id,
                item_id=item.item_id,
                text=item_text(item.item, item.item_id),
                attempt=item.attempts,
                step=item.step,
                name=item.step_name,
                began=item.started_at,
                waits=waits_for(state, item.item_id),
                processes=_processes(state, item.item_id),
            )


def _phase(state: JobState, phase: Phase, began: datetime) -> AgentAtWork:
    return AgentAtWork(
        phase=phase,
        step=state.current_step,
        name=state.current_step_name,
        began=began,
        waits=waits_for(state, None),
        processes=_processes(state, None),
    )


def _processes(state: JobState, item_id: str | None) -> tuple[Spawned, ...]:
    intents: dict[int, StepIntended] = state.intents
    return tuple(
        state.spawned[seq]
        for seq, intent in intents.items()
        if intent.item_id == item_id and seq in state.spawned
    )
