"""What a state says twice and a snapshot says once: a dead letter's item, and what that failed with.

Pure but for where it stands: only snapshots know that this is left out.
"""

from msgspec import Struct
from msgspec.structs import replace

from prodigy.job.state import JobState


class Shared(Struct, frozen=True):
    """What was left out of a state.

    Attributes:
        items: dead letters without their item, which is as it was selected.
        failures: those without their last failure, which is what the item failed with.
    """

    items: tuple[str, ...] = ()
    failures: tuple[str, ...] = ()


def thinned(state: JobState) -> tuple[JobState, Shared]:
    """A copy without what can be put back; ``state`` is as it was."""
    letters = state.dead_letters
    shared = Shared(
        tuple(key for key, letter in letters.items() if letter.item == state.items[key].item),
        tuple(
            key for key, letter in letters.items() if letter.last and letter.last == state.items[key].error
        ),
    )
    thin = dict(letters)
    for key in shared.items:
        thin[key] = replace(thin[key], item=None)
    for key in shared.failures:
        thin[key] = replace(thin[key], last=None)
    return replace(state, dead_letters=thin), shared


def complete(state: JobState, shared: Shared) -> None:
    """Put back, in place, what was left out."""
    for key in shared.items:
        state.dead_letters[key].item = state.items[key].item
    for key in shared.failures:
        state.dead_letters[key].last = state.items[key].error
