"""Rows are a mapping, whatever of them is at rest; what is at rest is no object."""

import gc
import tracemalloc
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import DecodeError
from shelves import MemoryShelf, resting
from stories import BROKEN, START, started

from prodigy import events
from prodigy.events import Attempt, Failure, Record
from prodigy.job.fold import apply, fold
from prodigy.job.row_index import RowIndex
from prodigy.job.rows import Rows
from prodigy.job.state import DeadLetter, ItemState, JobState, item_rows, packed
from prodigy.store.journal import read
from prodigy.store.shelf import blank

GOLDEN = sorted(path for path in (Path(__file__).parents[1] / "store" / "golden").iterdir() if path.is_dir())
SHELVES: dict[str, Callable[[], MemoryShelf | None]] = {
    "none": lambda: None,
    "a small one": lambda: MemoryShelf(300),
    "a large one": MemoryShelf,
}


def item(index: int, **fields: Any) -> ItemState:
    return ItemState(index=index, item_id=f"i{index}", packed=packed(index), **fields)


def many(count: int, **fields: Any) -> Rows[ItemState]:
    rows = item_rows((item(index, **fields) for index in range(count)), MemoryShelf(), room=0)
    rows.settle()
    return rows


def alive(kind: type) -> int:
    gc.collect()
    return sum(type(one) is kind for one in gc.get_objects())


# -- a mapping -----------------------------------------------------------------------------------------------------
ACTS = st.tuples(st.sampled_from(("put", "change", "remove", "settle", "revise", "clear")), st.integers(0, 9))


@pytest.mark.parametrize("shelf", SHELVES.values(), ids=SHELVES)
@given(acts=st.lists(ACTS, max_size=40))
def test_rows_are_a_mapping_whatever_is_at_rest(  # noqa: C901 - a case for each act
    shelf: Callable[[], MemoryShelf | None], acts: list[tuple[str, int]]
) -> None:
    """Told by one and the same story as a dict: what they are, in which order, and what is said of them."""
    rows, plain = item_rows(shelf=shelf(), room=1), dict[str, ItemState]()
    for number, (act, index) in enumerate(acts):
        name = f"i{index}"
        match act:
            case "put":
                thing = item(index, output="x" * number)
                plain[name] = thing
                rows[name] = item(index, output="x" * number)
            case "change" if name in plain:
                for one in (rows.change(name), plain[name]):
                    one.output += f"{number}"
                    one.error = None if one.error else BROKEN
                    one.status = "running" if one.status == "pending" else "pending"
            case "remove" if name in plain:
                del plain[name]
                rows.pop(name)
            case "settle":
                rows.settle()
            case "revise":
                rows.revise(_count)
                for one in plain.values():
                    _count(one)
            case "clear" if not index:
                rows.clear()
                plain.clear()
    assert list(rows.items()) == list(plain.items())
    assert list(rows.values()) == list(plain.values())
    assert rows == plain
    assert list(rows.by_index()) == sorted(plain.values(), key=lambda one: one.index)
    assert list(rows.latest(2)) == list(plain.values())[-2:]
    assert list(rows.marked()) == [one for one in reversed(plain.values()) if one.error is not None]
    assert rows.at_work() == sorted(
        (one for one in plain.values() if one.status == "running"), key=lambda one: one.index
    )
    for index in range(10):
        known = plain.get(f"i{index}")
        assert (rows.get(f"i{index}"), rows.numbered(index), f"i{index}" in rows) == (
            known,
            known,
            known is not None,
        )
    again = item_rows(shelf=shelf(), room=1)
    again.load(rows.packed())
    assert again == rows


def _count(one: ItemState) -> None:
    one.retries += one.index % 2


def test_names_with_one_hash_are_two_names() -> None:
    index = RowIndex()
    positions = [index.add(number % 3) for number in range(300)]
    assert positions == list(range(300))
    assert [list(index.having(number)) for number in range(3)] == [list(range(n, 300, 3)) for n in range(3)]
    assert list(index.having(3)) == []


def test_what_is_told_is_nobodys() -> None:
    """Of a row at rest everybody gets an object of his own; it is changed only by who says so."""
    rows = many(2)
    rows["i0"].output = "lost"
    assert rows["i0"].output == ""
    rows.change("i0").output = "kept"
    assert rows["i0"].output == "kept"
    rows.settle()
    assert rows["i0"].output == "kept"
    with pytest.raises(KeyError):
        rows.change("i7")


def test_who_is_at_work_is_one_object() -> None:
    rows = many(3, status="running")
    rows.settle()
    assert rows["i1"] is rows.change("i1")
    assert rows.at_work()[1] is rows["i1"]


def test_what_is_no_row_is_not_loaded() -> None:
    with pytest.raises(DecodeError):
        item_rows().load([b'{"index": 1}'])


def test_a_shelf_without_room_loses_nothing() -> None:
    shelf = MemoryShelf(5_000)
    rows = item_rows((item(index) for index in range(500)), shelf, room=0)
    rows.settle()
    assert 0 < len(shelf.data) <= 5_000
    shelf.most = 0
    rows.revise(_count)
    assert [one.retries for one in rows.values()] == [index % 2 for index in range(500)]


# -- in the fold ---------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("folder", GOLDEN, ids=lambda folder: folder.name)
def test_a_state_at_rest_is_what_its_records_say(folder: Path) -> None:
    """With every type of event, after each."""
    plain, rests = JobState(), resting()
    for record in read(folder):
        apply(plain, record)
        apply(rests, record)
        assert rests == plain


def begun(name: str, attempt: int) -> events.AgentStarted:
    return events.AgentStarted(
        item_id=name, agent_id="a", attempt=attempt, worktree="/w", slot=0, base_commit="b", branch="x"
    )


def recorded(story: Iterable[events.AnyEvent]) -> Iterator[Record]:
    """Each made when it is asked for."""
    for seq, event in enumerate(story, 1):
        number = UUID(int=seq)
        yield Record(v=1, seq=seq, id=number, timestamp=START, correlation_id=number, event=event, batch=seq)


def queue(count: int) -> Iterator[events.AnyEvent]:
    """Items that failed for good, each with much to tell."""
    much = "what the command printed " * 20
    error = Failure(error_class="command-failed", message=f"m {much}", stderr_tail=much, step="1")
    names = [f"item-{index}" for index in range(count)]
    yield started()
    for index, name in enumerate(names):
        yield events.ItemSelected(index=index, item_id=name, item={"path": name, "much": much})
    for index, name in enumerate(names):
        yield begun(name, 1)
        yield events.AgentFailed(
            item_id=name, agent_id="a", attempt=1, duration_ms=1, error=error, signature="s"
        )
        attempt = Attempt(
            attempt_number=1,
            timestamp=START,
            phase="map",
            error_type=error.error_class,
            error_message=error.message,
        )
        yield events.DlqItemAdded(item_id=name, index=index, item={}, error_signature="s", history=(attempt,))
    yield events.DlqRetryStarted(item_ids=tuple(names[: count // 2]), base_commit="b", max_parallel=3)
    for name in names[: count // 4]:
        yield begun(name, 2)
        yield events.AgentCompleted(
            item_id=name, agent_id="a", attempt=2, duration_ms=1, head="h", output=much, cost_usd=0.0
        )
        yield events.DlqItemRemoved(item_id=name, reason="retried")


def test_letters_that_nobody_works_at_are_no_objects(tmp_path: Path) -> None:
    """Those that wait, those that are tried again, and those that are done since: of none is more known than where it lies."""

    def cost(count: int) -> int:
        tracemalloc.start()
        state = blank(tmp_path)
        fold(recorded(queue(count)), state)
        assert (state.total, len(state.dead_letters)) == (count, count - count // 4)
        assert alive(ItemState) + alive(DeadLetter) < 3 * 512
        size, _ = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        assert state.retry is not None
        return size

    cost(1_200)
    assert (cost(5_200) - cost(1_200)) / 4_000 < 250
