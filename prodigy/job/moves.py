"""How items change their places: the one way from status to status, and what an end means for the items after it.

Pure, and in place: the rules of the fold are made of these.
"""

from prodigy.events import Phase
from prodigy.job.state import ItemState, ItemStatus, JobState


def duration_window(max_parallel: int) -> int:
    """How many ended items an estimate of the time left looks back on."""
    return max(20, 2 * max_parallel)


def failed_for_good(state: JobState, item: ItemState) -> None:
    """An item came to a bad end; one that was not valid says nothing about how well items do."""
    note_duration(state, item)
    if item.error is not None and item.error.error_class == "invalid-item":
        return
    if state.circuit is None:
        state.failures_in_a_row += 1
    elif item.trial:
        state.circuit.failures += 1


def item_done(state: JobState, item: ItemState) -> None:
    """An item came to its good end."""
    move(state, item, "done")
    item.history = item.told = ()
    state.alike = 0
    if state.circuit is None:
        state.failures_in_a_row = 0
    elif item.trial:
        state.circuit.successes += 1


def move(state: JobState, item: ItemState, status: ItemStatus) -> None:
    """The only place where an item's status changes, so that the counts can't drift."""
    state.counts[item.status] -= 1
    state.counts[status] += 1
    item.status = status


def note_duration(state: JobState, item: ItemState) -> None:
    """Keep how long an item took, and forget what is too old to say how long the next will take."""
    window = duration_window(state.max_parallel)
    state.item_durations.append(item.duration_ms)
    del state.item_durations[:-window]


def forgive(state: JobState) -> None:
    """What failed up to now counts against no limit any more, and nothing holds items back."""
    state.halted = state.circuit = None
    state.failures_in_a_row = state.alike = 0
    state.items.revise(_forgive)


def _forgive(item: ItemState) -> None:
    item.forgiven = item.status in {"failed", "skipped"}


def forget_outcomes(state: JobState, phase: Phase) -> None:
    """Let a phase begin anew: none of its leaves was ever done."""
    for key in [key for key in state.outcomes if key.startswith(f"{phase}/")]:
        del state.outcomes[key]
    for key in [key for key in state.conversations if key.startswith(f"{phase}/")]:
        del state.conversations[key]
        state.finished.pop(key, None)
        state.waiting.pop(key, None)
