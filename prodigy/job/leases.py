"""Whose the slots are that are recorded as leased, and whether anybody works in them. Pure."""

from prodigy import ids
from prodigy.job.state import ItemState, JobState


def item_of(state: JobState, agent: str) -> ItemState | None:
    """The item that an agent works on, if it is one of the run's."""
    index, _ = ids.place_of(agent)
    return state.items.numbered(index)


def goes_on(state: JobState, agent: str) -> bool:
    """Whether an agent's attempt has begun and not ended."""
    item = item_of(state, agent)
    return item is not None and item.status == "running" and item.agent_id == agent


def is_over(state: JobState, agent: str) -> bool:
    """Whether an agent's attempt has ended; one that leased a slot and has not begun yet will."""
    item, (_, attempt) = item_of(state, agent), ids.place_of(agent)
    return item is not None and item.attempts >= attempt and not goes_on(state, agent)
