"""What an agent waits for that nobody works at: the API, money, its turn to start.

Pure. A leaf that is a launch of Claude waits from its intent, or from its last launch, until it is admitted.
"""

from datetime import datetime
from typing import Literal

from msgspec import Struct

from prodigy.job.budget import Wait, decide
from prodigy.job.state import JobState, Quota

What = Literal["quota", "budget", "turn"]
"""``turn``: other launches are starting, or as many are under way as may be."""


class Waits(Struct, frozen=True, kw_only=True):
    """What is waited for."""

    what: What
    since: datetime | None = None
    """When that began, if it is known."""
    until: datetime | None = None
    """When it is looked at again; of a quota, when the API is asked next."""


def waits_for(state: JobState, item_id: str | None) -> Waits | None:
    """What the agent of an item waits for, or with ``None`` the phase that runs; ``None`` if it is at work."""
    lane = state.parked_agents.get(item_id or "")
    if lane is not None:
        return _quota(state.quota(lane))
    own = [(seq, one) for seq, one in state.intents.items() if one.item_id == item_id]
    claudes = [seq for seq, one in own if one.kind == "claude"]
    if not claudes or any(seq in state.launches for seq in claudes):
        return None
    blocked = next((quota for quota in state.quotas if quota.until is not None), None)
    if blocked is not None:
        return _quota(blocked)
    caps = state.money.caps
    if caps is not None and isinstance(decide(caps, state.money), Wait):
        return Waits(what="budget")
    return Waits(what="turn")


def _quota(quota: Quota | None) -> Waits:
    if quota is None:
        return Waits(what="quota")
    return Waits(what="quota", since=quota.since, until=quota.until)
