"""Items and the attempts at them."""

from typing import Any, Literal

from prodigy.events.parts import Event, Failure


class ItemSelected(Event, frozen=True, kw_only=True, tag="item_selected"):
    """One work item; ``items_selected`` closes the list."""

    index: int
    item_id: str
    item: Any
    problem: str | None = None
    """What ``map.validation`` has against it; then no agent works at it."""


class ItemsSelected(Event, frozen=True, kw_only=True, tag="items_selected"):
    """Selection is done and never done again."""

    count: int
    skipped_by: dict[str, int] = {}
    matched: bool = True
    """Whether ``json_path`` led to anything at all."""


class ItemSkipped(Event, frozen=True, kw_only=True, tag="item_skipped"):
    """An item failed, or was not valid, and the workflow says to pass it over."""

    item_id: str
    reason: str


HaltReason = Literal["stop", "timeout", "max-failures", "failure-threshold", "circuit", "signature"]


class MapHalted(Event, frozen=True, kw_only=True, tag="map_halted"):
    """No more items are started; what runs ends as it may, then the map phase fails with ``message``."""

    reason: HaltReason
    message: str


class CircuitOpened(Event, frozen=True, kw_only=True, tag="circuit_opened"):
    """Too many items failed in a row: nothing starts for ``pause_ms``, then a few items as trials."""

    failures: int
    opening: int
    """Counts from 1 since the circuit was last closed."""
    pause_ms: int


class CircuitClosed(Event, frozen=True, kw_only=True, tag="circuit_closed"):
    """The trials succeeded; items start as before."""


class AttemptEvent(Event, frozen=True, kw_only=True):
    """What the events of one attempt at an item carry."""

    item_id: str
    agent_id: str
    attempt: int


class AgentStarted(AttemptEvent, frozen=True, kw_only=True, tag="agent_started"):
    """An attempt at an item began."""

    worktree: str
    slot: int
    base_commit: str
    branch: str


class AgentCompleted(AttemptEvent, frozen=True, kw_only=True, tag="agent_completed"):
    """An attempt ended well. Without commits the item is done; with commits it waits for its merge."""

    duration_ms: int
    head: str
    commits: tuple[str, ...] = ()
    files_changed: tuple[str, ...] = ()
    output: str = ""
    """Tail of the last step's output, 4 KiB at most."""
    variables: dict[str, Any] = {}
    json_log_location: str | None = None
    cost_usd: float = 0.0
    unchanged: bool = False
    """Whether it ended well and changed no file; records of earlier releases do not say."""


class AgentFailed(AttemptEvent, frozen=True, kw_only=True, tag="agent_failed"):
    """An attempt failed; ``agent_retrying`` or ``dlq_item_added`` says what becomes of the item."""

    duration_ms: int
    error: Failure
    signature: str
    rescue_ref: str | None = None
    base_commit: str | None = None
    json_log_location: str | None = None
    cost_usd: float = 0.0


class AgentInterrupted(AttemptEvent, frozen=True, kw_only=True, tag="agent_interrupted"):
    """The worker of an attempt was lost; the attempt goes on in another one, at its first step without an outcome."""

    reason: str


class AgentParked(AttemptEvent, frozen=True, kw_only=True, tag="agent_parked"):
    """An agent has nothing to do until the API no longer turns Claude away: its place is another's meanwhile."""

    account: str
    model: str | None


class AgentReturned(AttemptEvent, frozen=True, kw_only=True, tag="agent_returned"):
    """An agent that was parked has a place again, and may go on."""


class AgentRetrying(Event, frozen=True, kw_only=True, tag="agent_retrying"):
    """A further attempt at an item will be made."""

    item_id: str
    agent_id: str
    next_attempt: int
    charged_to: Literal["item", "host_lost", "conflict", "quota", "resume"]
    """``resume``: the attempt was interrupted and could not go on; it counts against nothing. ``host_lost`` stands in
    records of earlier releases, where an item whose worker was lost began anew."""
    backoff_ms: int = 0


AgentEvent = (
    ItemSelected
    | ItemsSelected
    | ItemSkipped
    | MapHalted
    | CircuitOpened
    | CircuitClosed
    | AgentStarted
    | AgentCompleted
    | AgentFailed
    | AgentInterrupted
    | AgentRetrying
    | AgentParked
    | AgentReturned
)
