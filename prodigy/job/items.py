"""Work items as people name them.

Pure. People type and read an item's own text; machines use its id.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from prodigy.errors import UsageError
from prodigy.job.state import DeadLetter, ItemState, JobState

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


def find_item(items: Mapping[str, ItemState], wanted: str) -> ItemState:
    """The item meant by an id, ``#index``, its own text, or an unambiguous prefix of an id or text.

    Raises:
        UsageError: ``item-not-found`` or ``ambiguous-id``.
    """
    if wanted in items:
        return items[wanted]
    exact = [item for item in items.values() if wanted in _names(item)]
    if not exact and len(wanted) >= _SHORTEST_PREFIX:
        exact = [item for item in items.values() if any(name.startswith(wanted) for name in _names(item))]
    if len(exact) == 1:
        return exact[0]
    if not exact:
        raise UsageError("item-not-found", f"No item is called `{wanted}`", hint=_nearest(items, wanted))
    candidates = ", ".join(f"`{item.item_id}`" for item in exact[:_MANY])
    raise UsageError(
        "ambiguous-id", f"`{wanted}` fits {len(exact)} items", note=candidates, hint="give a whole item id"
    )


def named(state: JobState, names: Sequence[str]) -> list[DeadLetter]:
    """The dead letters that ``names`` mean as people name items; all of them without names. By index.

    Raises:
        UsageError: ``item-not-found`` or ``ambiguous-id``, among the items in the queue.
    """
    letters = state.dead_letters
    if names:
        queued = {item_id: state.items[item_id] for item_id in letters}
        wanted = {find_item(queued, name).item_id for name in names}
        return sorted((letters[item_id] for item_id in wanted), key=lambda letter: letter.index)
    return sorted(letters.values(), key=lambda letter: letter.index)


def _names(item: ItemState) -> tuple[str, ...]:
    return item.item_id, item_text(item.item, item.item_id), f"#{item.index}"


def _nearest(items: Mapping[str, ItemState], wanted: str) -> str | None:
    from difflib import get_close_matches  # only on the way to an error

    texts = {item_text(item.item, item.item_id) for item in items.values()}
    near = get_close_matches(wanted, texts | set(items), n=_SHORTEST_PREFIX)
    return "did you mean " + " or ".join(f"`{name}`" for name in near) if near else None
