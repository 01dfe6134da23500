"""What steps take from around them where they say nothing themselves.

Pure data.
"""

from msgspec import Struct

from prodigy.workflow.model import ClaudeOptions, CommitConfig, Limits, Retry, Seconds

IDLE_TIMEOUT = 1_800.0
"""Seconds that a Claude step may be silent."""


class Inherited(Struct, frozen=True, kw_only=True):
    """The defaults of steps: those of the workflow, with those of the phase over them.

    ``grace`` is ``None`` where the workflow's own counts, ``retry`` where steps are not tried again.
    """

    auto_commit: bool = True
    commit: CommitConfig | None = None
    retry: Retry | None = None
    grace: float | None = None
    idle_timeout: Seconds = IDLE_TIMEOUT
    shell_program: str = "sh"
    claude: ClaudeOptions = ClaudeOptions()
    limits: Limits | None = None
