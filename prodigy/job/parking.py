"""Agents that wait for a quota without a place in the window, and in which order they get one again.

Pure; times are seconds on the clock of the records. Who was parked first returns first. An account and a model are
blocked until they are cleared; when the time of a block is over, one of those that wait for it returns as a probe, and no
other before that one was answered, turned away, or is gone.
"""

from prodigy.job.state import JobState, Lane


class Parking:
    """The parked agents of a map phase, by their items.

    Args:
        state: what is recorded of the run.
    """

    def __init__(self, state: JobState) -> None:
        self._waiting = dict(state.parked_agents)
        self._until = {
            (quota.account, quota.model): quota.until.timestamp()
            for quota in state.quotas
            if quota.until is not None
        }
        self._probes: dict[Lane, str] = {}

    def __len__(self) -> int:
        """How many wait."""
        return len(self._waiting)

    def __contains__(self, item_id: str) -> bool:
        """Whether the agent of an item does."""
        return item_id in self._waiting

    # -- what happens ------------------------------------------------------------------------------------------------
    def parked(self, item_id: str, lane: Lane) -> None:
        """An agent has nothing to do until the lane is free."""
        self._forget_probe(item_id)
        self._waiting[item_id] = lane

    def left(self, item_id: str) -> None:
        """An agent has ended."""
        self._forget_probe(item_id)
        self._waiting.pop(item_id, None)

    def blocked(self, lane: Lane, until: float) -> None:
        """Nothing of the lane begins before then."""
        self._until[lane] = until
        self._probes.pop(lane, None)

    def cleared(self, lane: Lane) -> None:
        """The lane is free."""
        self._until.pop(lane, None)
        self._probes.pop(lane, None)

    def _forget_probe(self, item_id: str) -> None:
        self._probes = {lane: probe for lane, probe in self._probes.items() if probe != item_id}

    # -- who returns -------------------------------------------------------------------------------------------------
    def next(self, at: float) -> str | None:
        """Whose agent returns now, if a place is free for it; it waits no more."""
        for item_id, lane in self._waiting.items():
            until = self._until.get(lane)
            if until is not None and (at < until or lane in self._probes):
                continue
            if until is not None:
                self._probes[lane] = item_id
            del self._waiting[item_id]
            return item_id
        return None

    @property
    def wakes_at(self) -> float | None:
        """When a probe may return, as far as time alone decides that."""
        lanes = set(self._waiting.values()) - self._probes.keys()
        return min((self._until[lane] for lane in lanes if lane in self._until), default=None)
