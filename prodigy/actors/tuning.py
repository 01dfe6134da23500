"""How a process conducts a run, and not what the run does: nothing of it is recorded, and another process may differ."""

from collections.abc import Mapping

from msgspec import Struct

from prodigy.events import Scarce


class Tuning(Struct, frozen=True, kw_only=True):
    """Times are in seconds.

    ``recycle_after`` is how many agents a worker runs before another takes its place, ``quota_wait_max`` how long the
    run waits for an API that turns Claude away, ``host_wait_max`` how long for room on the machine, ``idle_slots`` how long a pooled worktree stays that nobody needs;
    ``None``: for ever, each. ``least_parallel`` launches of Claude may be under way at a time once the API answers
    again; if not ``adaptive``, all of them.
    """

    recycle_after: int | None = None
    quota_wait_max: float | None = None
    host_wait_max: float | None = None
    idle_slots: float | None = None
    floors: Mapping[Scarce, int] = {}
    """Bytes that have to be free before an agent is started."""
    least_parallel: int = 1
    adaptive: bool = True


NO_TUNING = Tuning()
