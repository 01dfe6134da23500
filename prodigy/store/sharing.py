"""What a state says twice and a snapshot says once: the history of a dead letter, and the output of a failure.

Pure but for where it stands: only snapshots know that this is left out. The history of a dead letter is that of its item
up to some attempt; what an item failed with has the output that its last attempt had.
"""

from msgspec import Struct
from msgspec.structs import replace

from prodigy.events import Failure
from prodigy.job.state import ItemState, JobState


class Shared(Struct, frozen=True):
    """What was left out of a state.

    Attributes:
        histories: dead letters without their histories: of how many attempts they are.
        outputs: items that failed, without the output and the logs of that.
    """

    histories: dict[str, int] = {}
    outputs: tuple[str, ...] = ()


def thinned(state: JobState) -> tuple[JobState, Shared]:
    """A copy without what can be put back; ``state`` is as it was."""
    histories = {
        item_id: letter.failure_count
        for item_id, letter in state.dead_letters.items()
        if letter.failure_history == state.items[item_id].history[: letter.failure_count]
    }
    letters = {
        item_id: replace(letter, failure_history=[]) if item_id in histories else letter
        for item_id, letter in state.dead_letters.items()
    }
    items, outputs = dict(state.items), []
    for item_id, item in state.items.items():
        if item.error is not None and item.history and _with_output(item, item.error) == item.error:
            items[item_id] = replace(item, error=_silent(item.error))
            outputs.append(item_id)
    return replace(state, items=items, dead_letters=letters), Shared(histories, tuple(outputs))


def complete(state: JobState, shared: Shared) -> None:
    """Put back, in place, what was left out."""
    for item_id, count in shared.histories.items():
        state.dead_letters[item_id].failure_history = state.items[item_id].history[:count]
    for item_id in shared.outputs:
        item = state.items[item_id]
        if item.error is not None:
            item.error = _with_output(item, item.error)


def _with_output(item: ItemState, error: Failure) -> Failure:
    last = item.history[-1]
    return replace(error, stdout_tail=last.stdout_tail, stderr_tail=last.stderr_tail, logs=last.logs)


def _silent(error: Failure) -> Failure:
    return replace(error, stdout_tail="", stderr_tail="", logs=())
