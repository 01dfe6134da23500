"""Launches of Claude, what they cost, and what the API and the budget let through."""

from datetime import datetime
from typing import Literal

from msgspec import field

from prodigy.events.parts import BudgetKind, Caps, ClaudeMeter, ClaudeUse, Event, Refusal
from prodigy.events.steps import StepEvent


class ClaudeCutOff(StepEvent, frozen=True, kw_only=True, tag="claude_cut_off"):
    """A launch of Claude was killed together with whoever would have told of its end.

    What it used is estimated, unless its log ends in a result.
    """

    intent: int
    claude: ClaudeUse
    began: bool = True
    """Whether there is any trace of it; else it had been admitted and nothing more, and cost nothing."""
    finished: str | None = None
    """The log that ends in its result, if it had succeeded and its worktree is as it left it: that is its leaf's outcome."""
    unfit: str | None = None
    """Why its result is not taken for that, although it had succeeded."""


class ClaudeIntended(StepEvent, frozen=True, kw_only=True, tag="claude_intended"):
    """A launch of Claude is admitted: it is about to begin or to go on with a conversation."""

    intent: int
    """Of its leaf."""
    session_id: str
    model: str | None = None
    """That was asked for."""
    account: str = ""
    """A short digest of what the account is chosen by: launches of one account share its quota."""
    resumes: bool = False
    """Whether it goes on with a conversation that was cut short."""
    wanted_usd: float | None = None
    """What the step lets it cost at most."""
    reserved_usd: float | None = None
    """What is set apart for it, and what it may cost at most; ``None`` without a budget in US dollars."""
    meter: ClaudeMeter | None = None
    """Of the conversation that it goes on with: what the launches before it used is not its own."""


class ClaudeAnswered(StepEvent, frozen=True, kw_only=True, tag="claude_answered"):
    """The API has answered a launch for the first time."""

    intent: int


class ClaudeParked(StepEvent, frozen=True, kw_only=True, tag="claude_parked"):
    """A launch was cut short by something that is not the step's fault; its conversation goes on later."""

    intent: int
    reason: Literal["quota", "budget", "refused"]
    """``budget``: it used up what was reserved for it; ``refused``: no other launch would come to anything either."""
    claude: ClaudeUse
    message: str = ""
    until: datetime | None = None
    """When the quota is said to be free again."""
    cause: Refusal | None = None
    """Of ``refused``."""


class BudgetSet(Event, frozen=True, kw_only=True, tag="budget_set"):
    """What the whole job may use, every value known."""

    caps: Caps


class BudgetWarned(Event, frozen=True, kw_only=True, tag="budget_warned"):
    """The soft limit of a budget is reached: no more items are started."""

    kind: BudgetKind
    used: float
    cap: float
    reserved: float = 0.0


class BudgetExhausted(Event, frozen=True, kw_only=True, tag="budget_exhausted"):
    """A budget does not let the run go on; it stops and can be taken up again with more."""

    kind: BudgetKind
    used: float
    cap: float
    reserved: float = 0.0


class QuotaBlocked(Event, frozen=True, kw_only=True, tag="quota_blocked"):
    """The API turned a launch away: none of its account and model begins before ``until``, then one as a probe."""

    account: str
    model: str | None
    until: datetime
    parked: int = 0
    """Conversations that wait."""
    row: int = 1
    """Blocks since the API answered last."""
    known: bool = False
    """Whether the API said until when."""
    given_up: bool = False
    """Whether that is longer than the run is to wait: it comes to rest."""


class QuotaCleared(Event, frozen=True, kw_only=True, tag="quota_cleared"):
    """The probe was answered: launches begin again, a few at first."""

    account: str
    model: str | None
    parked: int = 0


class ParallelismChanged(Event, frozen=True, kw_only=True, tag="parallelism_changed"):
    """Another number of Claudes of one account and model may be under way at a time."""

    from_: int = field(name="from")
    to: int
    reason: str
    account: str = ""
    model: str | None = None


ClaudeEvent = (
    ClaudeCutOff
    | ClaudeIntended
    | ClaudeAnswered
    | ClaudeParked
    | BudgetSet
    | BudgetWarned
    | BudgetExhausted
    | QuotaBlocked
    | QuotaCleared
    | ParallelismChanged
)
