"""What a state says many times: a snapshot says it once, and a state that is read from one holds it once.

Pure but for where it stands: only snapshots know that this is left out.
"""

from collections.abc import Sequence
from sys import intern

from msgspec import Struct
from msgspec.structs import replace

from prodigy.job.state import DeadLetter, ItemState


class Letters(Struct, frozen=True, tag="letters"):
    """Dead letters; what their items say too is left out.

    Attributes:
        letters: without their items, and without their last failures.
        items: the items of those that are not as they were selected, by their ids.
        failures: those that failed otherwise than their items say.
    """

    letters: list[DeadLetter]
    items: dict[str, str] = {}
    failures: tuple[DeadLetter, ...] = ()


def thinned(letters: Sequence[DeadLetter], items: dict[str, ItemState]) -> Letters:
    """A copy of ``letters`` without what can be put back."""
    return Letters(
        [replace(letter, packed="", last=None) for letter in letters],
        {
            letter.item_id: letter.packed
            for letter in letters
            if letter.packed != items[letter.item_id].packed
        },
        tuple(letter for letter in letters if letter.last != items[letter.item_id].error),
    )


def completed(thin: Letters, items: dict[str, ItemState]) -> dict[str, DeadLetter]:
    """The letters by their items' ids, with what was left out; those of no item are passed over."""
    failures = {letter.item_id: letter.last for letter in thin.failures}
    found: dict[str, DeadLetter] = {}
    for letter in thin.letters:
        item = items.get(letter.item_id)
        if item is None:  # the checksum will tell
            continue
        letter.packed = thin.items.get(item.item_id, item.packed)
        letter.last = failures.get(item.item_id, item.error)
        letter.item_id, letter.index = item.item_id, item.index
        letter.error_signature = intern(letter.error_signature)
        found[item.item_id] = letter
    return found


def united(item: ItemState) -> ItemState:
    """``item`` with one copy, for all items, of what thousands of them have in common."""
    if item.base_commit is not None:
        item.base_commit = intern(item.base_commit)
    if item.error is not None and item.error.step is not None:
        item.error = replace(item.error, step=intern(item.error.step))
    return item
