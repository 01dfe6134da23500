"""Items as people name them."""

from typing import Any

import pytest

from prodigy.errors import UsageError
from prodigy.job.items import find_item, item_text
from prodigy.job.state import ItemState, packed

ITEMS: dict[str, ItemState] = {
    name: ItemState(index=index, item_id=name, packed=packed(item))
    for index, (name, item) in enumerate(
        [
            ("src-a.py-1f2e3d", "src/a.py"),
            ("src-ab.py-4c5b6a", "src/ab.py"),
            ("9f3c01aa27be", {"path": "lib/c.py"}),
        ]
    )
}


@pytest.mark.parametrize(
    ("item", "text"),
    [
        ("src/a.py", "src/a.py"),
        (7, "7"),
        ({"path": "a.py", "id": "x"}, "x"),
        ({"file": "b.py", "id": 3}, "b.py"),
        ({"colour": "red"}, "the-id"),
        ([1, 2], "the-id"),
        (True, "the-id"),
        (None, "the-id"),
        ("", "the-id"),
    ],
)
def test_an_item_is_called_by_what_people_recognise(item: Any, text: str) -> None:
    assert item_text(item, "the-id") == text


@pytest.mark.parametrize(
    ("wanted", "index"),
    [
        ("src-a.py-1f2e3d", 0),
        ("src/a.py", 0),
        ("#1", 1),
        ("lib/c.py", 2),
        ("lib", 2),
        ("9f3c", 2),
        ("src/ab", 1),
    ],
)
def test_an_item_is_found(wanted: str, index: int) -> None:
    assert find_item(ITEMS, wanted).index == index


def test_a_prefix_of_several_items_is_refused() -> None:
    with pytest.raises(UsageError) as caught:
        find_item(ITEMS, "src")
    assert caught.value.code == "ambiguous-id"
    assert "`src-a.py-1f2e3d`" in str(caught.value.note)


@pytest.mark.parametrize("wanted", ["li", "src/x.py", "#9", ""])
def test_what_is_no_item_is_not_found(wanted: str) -> None:
    with pytest.raises(UsageError) as caught:
        find_item(ITEMS, wanted)
    assert caught.value.code == "item-not-found"
    if wanted == "src/x.py":
        assert "`src/a.py`" in str(caught.value.hint)
