"""What holds where a workflow says nothing, if somebody outside of it says something: the user, or the project.

Pure data.
"""

from typing import Final

from msgspec import Struct

from prodigy.workflow.model import Limits, Retry

PROCESSES: Final = 512
OUTPUT: Final = 256 * 2**20
"""Bytes."""
LIMITS: Final = Limits(processes=PROCESSES, output=OUTPUT)
"""Of what nobody limits: a fork bomb and a loop that prints end before the machine does."""


class Standards(Struct, frozen=True, kw_only=True):
    """Values for what a workflow leaves open; times in seconds, ``None``: no limit.

    ``retry`` is for what a ``retry`` leaves open, where the workflow has no ``retry_defaults`` for it.
    """

    retry: Retry = Retry()
    max_parallel: int = 10
    step_timeout: float | None = None
    """Of each command and each Claude step."""
    phase_timeout: float | None = None
    """Of setup, map, reduce, and the steps of a plain workflow."""
    merge_timeout: float | None = 1_800.0
    """Of the ``merge`` steps."""


NO_STANDARDS = Standards()
