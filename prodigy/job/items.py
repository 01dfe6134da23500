"""Work items as people name them.

Pure. People type and read an item's own text; machines use its id.
"""

from collections.abc import Iterator, Mapping, Sequence
from itertools import islice
from typing import Any, TypeVar

from prodigy.errors import UsageError
from prodigy.job.state import DeadLetter, ItemState, JobState

Item = TypeVar("Item", ItemState, DeadLetter)

_NAMING_KEYS = ("id", "path", "file", "name")
_SHORTEST_PREFIX = 3
_MANY = 10


def item_text(item: Any, item_id: str) -> str:
    """What people call an item: itself if it is text or a number, else what names it in it, else its id."""
    if isinstance(item, str | int | float) and not isinstance(item, bool):
        return str(item) or item_id
    if isinstance(item, dict):
        texts = (item.get(key) for key in _NAMING_KEYS)
        return next((text for text in texts if isinstance(text, str) and text), item_id)
    return item_id


def find_item(items: Mapping[str, Item], wanted: str) -> Item:
    """The item meant by an id, ``#index``, its own text, or an unambiguous prefix of an id or text.

    Raises:
        UsageError: ``item-not-found`` or ``ambiguous-id``.
    """
    if wanted in items:
        return items[wanted]
    found, count = _first(item for item in items.values() if wanted in _names(item))
    if not found and len(wanted) >= _SHORTEST_PREFIX:
        begun = (item for item in items.values() if any(name.startswith(wanted) for name in _names(item)))
        found, count = _first(begun)
    if count == 1:
        return found[0]
    if not found:
        raise UsageError("item-not-found", f"No item is called `{wanted}`", hint=_nearest(items, wanted))
    candidates = ", ".join(f"`{item.item_id}`" for item in found)
    raise UsageError(
        "ambiguous-id", f"`{wanted}` fits {count} items", note=candidates, hint="give a whole item id"
    )


def _first(fitting: Iterator[Item]) -> tuple[list[Item], int]:
    """Some of them, and how many there are."""
    found = list(islice(fitting, _MANY))
    return found, len(found) + sum(1 for _ in fitting)


def named(state: JobState, names: Sequence[str]) -> Iterator[DeadLetter]:
    """The dead letters that ``names`` mean as people name items; all of them without names. By index, made one by one.

    Raises:
        UsageError: ``item-not-found`` or ``ambiguous-id``, among the items in the queue.
    """
    letters = state.dead_letters
    if not names:
        return letters.by_index()
    wanted = {find_item(letters, name).item_id for name in names}
    return iter(sorted((letters[item_id] for item_id in wanted), key=lambda letter: letter.index))


def _names(item: ItemState | DeadLetter) -> tuple[str, ...]:
    return item.item_id, item_text(item.item, item.item_id), f"#{item.index}"


def _nearest(items: Mapping[str, Item], wanted: str) -> str | None:
    from difflib import get_close_matches  # only on the way to an error

    texts = {item_text(item.item, item.item_id) for item in items.values()}
    near = get_close_matches(wanted, texts | set(items), n=_SHORTEST_PREFIX)
    return "did you mean " + " or ".join(f"`{name}`" for name in near) if near else None
