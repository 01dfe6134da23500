"""Where things stand in a row, by the hashes of their names: some twenty bytes for each, whatever the names are.

Pure. A table of open addressing: a position is looked for from where its hash says, on to the first empty place.
"""

from array import array
from collections.abc import Iterator
from typing import Final

_SMALLEST: Final = 64
_EMPTY: Final = 0


class RowIndex:
    """Positions, counted from 0 in the order of adding; nothing is ever taken out."""

    def __init__(self) -> None:
        self._hashes = array("q")
        self._table = array("I", bytes(_SMALLEST * 4))

    def __len__(self) -> int:
        return len(self._hashes)

    def add(self, number: int) -> int:
        """The next position, from now on one of those with this hash."""
        self._hashes.append(number)
        if 3 * len(self._hashes) > 2 * len(self._table):
            self._table = array("I", bytes(2 * len(self._table) * 4))
            for position in range(len(self._hashes)):
                self._enter(position)
        else:
            self._enter(len(self._hashes) - 1)
        return len(self._hashes) - 1

    def having(self, number: int) -> Iterator[int]:
        """The positions with this hash, first added first; mostly there is one, or none."""
        table, mask = self._table, len(self._table) - 1
        place = number & mask
        while (entry := table[place]) != _EMPTY:
            if self._hashes[entry - 1] == number:
                yield entry - 1
            place = (place + 1) & mask

    def _enter(self, position: int) -> None:
        table, mask = self._table, len(self._table) - 1
        place = self._hashes[position] & mask
        while table[place] != _EMPTY:
            place = (place + 1) & mask
        table[place] = position + 1
