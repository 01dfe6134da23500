"""The dead letter queue."""

from typing import Any, Literal

from prodigy.events.parts import Attempt, Backend, Caps, Event, Phase


class DlqItemAdded(Event, frozen=True, kw_only=True, tag="dlq_item_added"):
    """An item failed for good; ``history`` holds every attempt, oldest first."""

    item_id: str
    index: int
    item: Any
    error_signature: str
    history: tuple[Attempt, ...]
    reprocess_eligible: bool = True
    manual_review_required: bool = False


class DlqItemRemoved(Event, frozen=True, kw_only=True, tag="dlq_item_removed"):
    """An item left the queue."""

    item_id: str
    reason: Literal["retried", "purged", "cleared"]


class DlqItemUpdated(Event, frozen=True, kw_only=True, tag="dlq_item_updated"):
    """An item of the queue was tried again and failed for good again; ``history`` holds the attempts that are new."""

    item_id: str
    error_signature: str
    failure_count: int
    """How many attempts failed in all."""
    history: tuple[Attempt, ...]
    reprocess_eligible: bool = True
    manual_review_required: bool = False


class DlqItemsEvicted(Event, frozen=True, kw_only=True, tag="dlq_items_evicted"):
    """Somebody took ``count`` items out of the queue without trying them again."""

    count: int
    criterion: str


class DlqRetryStarted(Event, frozen=True, kw_only=True, tag="dlq_retry_started"):
    """A run that had ended goes on with items of its queue; whatever it needs for that is here.

    ``branch_number`` counts the branches that the session has had: 0 is its first one, the others are made when the
    one before them was merged or removed. ``base_commit`` is what the items start from.
    """

    item_ids: tuple[str, ...]
    base_commit: str
    branch_number: int = 0
    max_parallel: int = 1
    attempts: int | None = None
    """At each item; ``None``: as the workflow says."""
    alike: int | None = None
    """After how many items in a row that fail alike nothing is started any more; ``None``: never."""
    filter: str | None = None
    reduce: bool = False
    """Whether ``reduce`` runs again afterwards."""
    auto_merge: bool = False
    model: str | None = None
    backend: Backend | None = None
    template_sha256: str | None = None
    workflow_sha256: str | None = None
    """Of the workflow that takes the place of the one before, if one does."""
    budget: Caps | None = None
    """What the job may use from now on, where that is said anew."""
    steps: dict[Phase, int] = {}
    """How many steps each phase of the workflow that takes the place of the one before has; of map, those of each agent."""
    settings: tuple[str, ...] = ()
    """Keys of the configuration that say otherwise than what is recorded."""
    settings_taken: bool = False
    """Whether what they say holds from now on."""


class DlqItemsReprocessed(Event, frozen=True, kw_only=True, tag="dlq_items_reprocessed"):
    """The items of a retry came to their ends; those that are counted in neither way were not started."""

    count: int
    succeeded: int
    failed: int


LetterEvent = (
    DlqItemAdded | DlqItemRemoved | DlqItemUpdated | DlqItemsEvicted | DlqRetryStarted | DlqItemsReprocessed
)
