"""Items and dead letters by their ids: those that something happens to are objects, the others lie on a shelf as bytes.

Pure: a shelf comes in, and where it has its bytes is its own matter. A row is *open*, which is to say an object, or *at
rest*. Of the latter memory holds some forty bytes, so that there may be hundreds of thousands.

- ``rows[id]`` and every iteration tell only: of a row at rest they make an object that nobody else has, and what is done to
  it is lost.
- ``change(id)`` opens a row, and ``revise`` changes all: the rules of the fold go this way, and nobody else.
- ``settle()`` puts open rows to rest once there are many. Those that somebody works at stay open, so that who reads of
  them again and again reads the same object.

Without a shelf, or where it has no more room, rows stay open.
"""

from array import array
from collections.abc import Callable, Iterable, Iterator, Mapping, MutableMapping, ValuesView
from itertools import chain, islice
from typing import Any, Final, Generic, Protocol, TypeVar

import msgspec
from msgspec import Struct

from prodigy.decoding import JsonDecoder
from prodigy.job.row_index import RowIndex

ROOM: Final = 512
"""How many rows are opened before those that nobody works at are put to rest, where nothing else is said."""
_NOWHERE: Final = -1
"""The place of a row that was never at rest."""
_GONE: Final = -2


class Shelf(Protocol):
    """Holds bytes for as long as its owner lives."""

    def lay(self, data: bytes) -> int | None:
        """The place where ``data`` lies from now on; ``None``: there is no room."""

    def lay_over(self, place: int, data: bytes) -> bool:
        """Put ``data`` in the place of as many bytes; whether that could be done."""

    def take(self, place: int, size: int) -> bytes:
        """What lies there."""


class Row(Protocol):
    """What there can be many of."""

    item_id: str
    index: int


R = TypeVar("R", bound=Row)


class RowKind(Struct, Generic[R], frozen=True):
    """What rows are.

    Attributes:
        decode: makes one of its JSON.
        at_work: whether it is to stay open.
        marked: whether it is one of those that ``marked`` finds.
    """

    decode: JsonDecoder[R]
    at_work: Callable[[R], bool]
    marked: Callable[[R], bool]


class _Open(Struct, Generic[R]):
    """An open row; ``data`` is its JSON if that is known."""

    position: int
    thing: R
    data: bytes | None = None


class _Named(Struct):
    item_id: str


_name_in: Final = JsonDecoder(_Named)


class _Values(ValuesView[R]):
    _mapping: "Rows[R]"

    def __iter__(self) -> Iterator[R]:
        return self._mapping.in_turn()


class Rows(MutableMapping[str, R]):  # noqa: PLW1641 - they change
    """Rows in the order in which they came.

    Args:
        kind: what they are.
        things: those that there are from the beginning.
        shelf: where those lie that are at rest.
        room: how many may be open that nobody works at.
    """

    def __init__(
        self, kind: RowKind[R], things: Iterable[R] = (), shelf: Shelf | None = None, room: int = ROOM
    ) -> None:
        self._kind = kind
        self._shelf = shelf
        self._room = room
        self.clear()
        for thing in things:
            self[thing.item_id] = thing

    def clear(self) -> None:
        """Forget all rows; the shelf keeps what it has."""
        self._index = RowIndex()
        self._places = array("q")
        self._sizes = array("I")
        self._numbers = array("I")
        self._marks = bytearray()
        """Of open rows: whether it is to be looked."""
        self._count = 0
        self._in_order = True
        self._limit = self._room
        self._open: dict[str, _Open[R]] = {}
        self._open_at: dict[int, _Open[R]] = {}

    # -- one of them ---------------------------------------------------------------------------------------------------
    def __getitem__(self, item_id: str) -> R:
        known = self._open.get(item_id)
        if known is not None:
            return known.thing
        position = self._resting(item_id)
        if position is None:
            raise KeyError(item_id)
        return self._kind.decode(self._data(position))

    def __contains__(self, item_id: object) -> bool:
        return item_id in self._open or (isinstance(item_id, str) and self._resting(item_id) is not None)

    def change(self, item_id: str) -> R:
        """The row, open and about to be changed.

        Raises:
            KeyError: there is none.
        """
        known = self._open.get(item_id)
        if known is None:
            position = self._resting(item_id)
            if position is None:
                raise KeyError(item_id)
            known = self._opened(_Open(position, self._kind.decode(self._data(position))))
        known.data = None
        return known.thing

    def numbered(self, number: int) -> R | None:
        """The row with that index."""
        numbers = self._numbers
        mostly = (number,) if number < len(numbers) else ()
        fits = (one for one in chain(mostly, range(len(numbers))) if numbers[one] == number)
        position = next((one for one in fits if self._places[one] != _GONE), None)
        return None if position is None else self._at(position)

    def __setitem__(self, item_id: str, thing: R) -> None:
        known = self._open.get(item_id)
        position = known.position if known is not None else self._resting(item_id)
        if position is None:
            self._add(thing, None)
        else:
            self._opened(_Open(position, thing))

    def __delitem__(self, item_id: str) -> None:
        known = self._open.pop(item_id, None)
        position = known.position if known is not None else self._resting(item_id)
        if position is None:
            raise KeyError(item_id)
        self._open_at.pop(position, None)
        self._places[position] = _GONE
        self._marks[position] = False
        self._count -= 1

    # -- all of them ---------------------------------------------------------------------------------------------------
    def __len__(self) -> int:
        return self._count

    def __iter__(self) -> Iterator[str]:
        return (self._name(position) for position in self._positions())

    def values(self) -> ValuesView[R]:
        """All of them, each made when it is asked for."""
        return _Values(self)

    def in_turn(self) -> Iterator[R]:
        """As ``values``."""
        return map(self._at, self._positions())

    def by_index(self) -> Iterator[R]:
        """As ``values``, by index."""
        if self._in_order:
            return self.in_turn()
        positions = array("I", self._positions())
        return map(self._at, sorted(positions, key=self._numbers.__getitem__))

    def latest(self, count: int) -> Iterator[R]:
        """The last ones that came, the last of them last."""
        backwards = (one for one in reversed(range(len(self._places))) if self._places[one] != _GONE)
        return map(self._at, reversed(array("I", islice(backwards, count))))

    def at_work(self) -> list[R]:
        """Those that stay open, by index."""
        found = (one.thing for one in self._open.values() if self._kind.at_work(one.thing))
        return sorted(found, key=lambda thing: thing.index)

    def marked(self) -> Iterator[R]:
        """Those that are marked, the last first."""
        position = len(self._marks)
        while (position := self._marks.rfind(True, 0, position)) >= 0:
            thing = self._at(position)
            if self._kind.marked(thing):
                yield thing

    def packed(self) -> Iterator[bytes]:
        """All of them as JSON."""
        for position in self._positions():
            known = self._open_at.get(position)
            yield self._data(position) if known is None else self._data_of(known)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Mapping):
            return NotImplemented
        return len(self) == len(other) and all(other.get(one.item_id) == one for one in self.in_turn())

    # -- changing them -------------------------------------------------------------------------------------------------
    def load(self, data: Iterable[bytes]) -> None:
        """Add rows from their JSON.

        Raises:
            msgspec.DecodeError: one is none.
        """
        for each in data:
            self._add(self._kind.decode(each), each)
            self.settle()

    def revise(self, change: Callable[[R], None]) -> None:
        """Let ``change`` change every row; those at rest rest again."""
        for position in self._positions():
            known = self._open_at.get(position)
            if known is not None:
                change(known.thing)
                known.data = None
                continue
            before = self._data(position)
            known = _Open(position, self._kind.decode(before))
            change(known.thing)
            if self._data_of(known) != before and not self._laid(known):
                self._opened(known)

    def settle(self) -> None:
        """Put to rest what nobody works at, if many rows are open; nobody may be about to change one."""
        if len(self._open) > self._limit and self._shelf is not None:
            left = sum(not self._rests(known) for known in [*self._open.values()])
            self._limit = left + max(self._room, left)

    def _rests(self, known: _Open[R]) -> bool:
        if self._kind.at_work(known.thing) or not self._laid(known):
            return False
        del self._open[known.thing.item_id], self._open_at[known.position]
        return True

    def _laid(self, known: _Open[R]) -> bool:
        """Whether a row lies on the shelf as it is now."""
        assert self._shelf is not None, "a row is at rest only where there is a shelf"
        position, data = known.position, self._data_of(known)
        room = self._sizes[position]
        if room >= len(data):
            laid = self._shelf.lay_over(self._places[position], data.ljust(room))
        else:
            place = self._shelf.lay(data)
            laid = place is not None
            if place is not None:
                self._places[position], self._sizes[position] = place, len(data)
        if laid:
            self._marks[position] = self._kind.marked(known.thing)
        return laid

    def _add(self, thing: R, data: bytes | None) -> None:
        position = self._index.add(hash(thing.item_id))
        if self._numbers and thing.index < self._numbers[-1]:
            self._in_order = False
        self._numbers.append(thing.index)
        self._places.append(_NOWHERE)
        self._sizes.append(0)
        self._marks.append(True)
        self._count += 1
        self._opened(_Open(position, thing, data))

    def _opened(self, known: _Open[R]) -> _Open[R]:
        self._open[known.thing.item_id] = self._open_at[known.position] = known
        self._marks[known.position] = True
        return known

    # -- where they are ------------------------------------------------------------------------------------------------
    def _positions(self) -> Iterator[int]:
        places = self._places
        return (position for position in range(len(places)) if places[position] != _GONE)

    def _resting(self, item_id: str) -> int | None:
        """The position of a row that is not open."""
        for position in self._index.having(hash(item_id)):
            if (
                self._places[position] >= 0
                and position not in self._open_at
                and self._name(position) == item_id
            ):
                return position
        return None

    def _at(self, position: int) -> R:
        known = self._open_at.get(position)
        return self._kind.decode(self._data(position)) if known is None else known.thing

    def _name(self, position: int) -> str:
        known = self._open_at.get(position)
        return _name_in(self._data(position)).item_id if known is None else known.thing.item_id

    def _data(self, position: int) -> bytes:
        """The JSON of a row at rest."""
        assert self._shelf is not None, "a row is at rest only where there is a shelf"
        return self._shelf.take(self._places[position], self._sizes[position]).rstrip()

    def _data_of(self, known: _Open[Any]) -> bytes:
        return msgspec.json.encode(known.thing) if known.data is None else known.data
