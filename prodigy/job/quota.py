"""One breaker per account and model: what happens when the API turns launches away.

Pure; times are seconds on the clock of the records::

    flowing ──a launch was turned away──▶ blocked ──its time is over──▶ one launch as a probe
       ▲                                     ▲                             │
       └──────────the probe was answered─────┼─────────────────────────────┤
                                             └──it was turned away too─────┘

While blocked nothing starts. Until when is what the API said, else it grows with each probe that fails. After a probe
that was answered launches are let through two at a time, then more with every one that is answered: quickly up to half
of what went well before, slowly above it.
"""

from typing import Final, Literal

from msgspec import Struct

PAUSE: Final = 30.0
"""Seconds that the first block lasts when nobody says how long; each one that follows lasts twice as long."""
LONGEST: Final = 900.0
JITTER: Final = 0.2
"""The share by which such pauses differ, so that several runs do not come back at once."""
MARGIN: Final = 5.0
"""Seconds at most that are added to a time that the API named."""
START_UP: Final = 10.0
"""Seconds after which a launch that said nothing yet does not count as starting any more."""
_SLOWLY: Final = 0.25

Mode = Literal["flowing", "blocked", "probing"]


class Block(Struct, frozen=True):
    """Nothing starts until then; ``row`` counts blocks without an answer between them."""

    until: float
    row: int


class Breaker:
    """The breaker of one lane.

    Args:
        most: how many launches there are at a time, as a rule; one that is as wide lets all through.
        until: when the block that is in force ends; ``None``: there is none.
        row: of that block.
        width: how many launches may be under way; ``None``: as many as there are.
        least: how many may be under way in any case while nothing is blocked.
    """

    def __init__(
        self,
        most: int,
        until: float | None = None,
        row: int = 0,
        width: float | None = None,
        *,
        least: int = 1,
    ) -> None:
        self._most = most
        self._least = min(least, most)
        self._until = until
        self._row = row
        self._width = float(most) if width is None else max(width, self._least)
        self._good = self._width / 2
        """Up to where it widens quickly."""
        self._probe: int | None = None
        self._under_way: set[int] = set()
        self._answered: set[int] = set()

    # -- what it allows ----------------------------------------------------------------------------------------------
    @property
    def mode(self) -> Mode:
        """Where it stands."""
        if self._until is None:
            return "flowing"
        return "blocked" if self._probe is None else "probing"

    @property
    def width(self) -> int:
        """How many launches may be under way at a time."""
        return 1 if self._until is not None else max(1, int(self._width))

    @property
    def until(self) -> float | None:
        """When the block ends; ``None``: there is none."""
        return self._until

    def admits(self, at: float) -> bool:
        """Whether a launch may begin."""
        if self._until is None:
            return self._width >= self._most or len(self._under_way) < self.width
        return self._probe is None and at >= self._until

    # -- what happens ------------------------------------------------------------------------------------------------
    def began(self, launch: int) -> None:
        """A launch was admitted."""
        if self._until is not None:
            self._probe = launch
        self._under_way.add(launch)

    def answered(self, launch: int) -> bool:
        """The API has answered a launch; whether that ends a block."""
        if launch not in self._under_way or launch in self._answered:
            return False
        self._answered.add(launch)
        if self._until is not None:
            if launch != self._probe:
                return False  # it was let in before the block
            self._until = self._probe = None
            self._row = 0
            self._width = max(2.0, self._least)
            return True
        quickly = self._width < self._good
        self._width = min(self._most, self._width + (1.0 if quickly else _SLOWLY / self._width))
        return False

    def ended(self, launch: int) -> None:
        """A launch is over, by itself or cut off; one that is a probe and was not answered leaves room for another."""
        self._under_way.discard(launch)
        self._answered.discard(launch)
        if launch == self._probe:
            self._probe = None

    def turned_away(self, launch: int, at: float, until: float | None, u: float) -> Block | None:
        """A launch was turned away; the block that begins, or lasts longer, because of it.

        Args:
            launch: which one.
            at: when.
            until: when the API is said to answer again, if it is.
            u: chance, from 0 up to 1.
        """
        probe = launch == self._probe
        if self._until is None:
            self._good = max(1.0, min(self._width, len(self._under_way)) / 2)
        elif not probe and (until is None or until <= self._until):
            self.ended(launch)
            return None  # it was on its way when the block began
        self.ended(launch)
        self._row += probe or self._until is None
        self._until = _end(at, self._row, until, u)
        return Block(self._until, self._row)


def _end(at: float, row: int, until: float | None, u: float) -> float:
    if until is not None and until > at:
        return until + MARGIN * u
    pause = min(LONGEST, PAUSE * 2.0 ** min(row - 1, 10))
    return at + pause * (1 + JITTER * (2 * u - 1))
