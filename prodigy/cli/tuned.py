"""How the configuration has a process conduct runs."""

from prodigy.actors.tuning import Tuning
from prodigy.configuration.effective import Configuration


def tuning(configuration: Configuration) -> Tuning:
    """How this process conducts runs, as configured."""
    get = configuration.get
    return Tuning(
        recycle_after=get("workers.recycle_after"),
        quota_wait_max=get("governor.quota_wait_max"),
        host_wait_max=get("host.wait_max"),
        idle_slots=get("worktree.cleanup_policy.idle_timeout"),
        least_parallel=get("governor.min_parallel"),
        adaptive=get("governor.adaptive"),
        floors={"memory": get("host.min_free_memory"), "disk": get("host.min_free_disk")},
    )
