"""Which known name somebody probably meant.

Pure. Distance is optimal string alignment (Damerau-Levenshtein without edits between the two letters of a swap).
"""

from collections.abc import Iterable

SHORT_NAME = 5
"""Names under this many letters may be one edit away, longer ones two."""
LONG_NAME = 80
"""Nobody misspells a name of more letters."""
WORK = 250_000
"""Steps of searching for one file, about a quarter of a second: a bound where thousands of names of thousands are unknown."""


def distance(left: str, right: str, limit: int = 1_000) -> int:
    """Insertions, deletions, replacements and swaps of neighbours between two words; ``limit + 1`` if more."""
    if abs(len(left) - len(right)) > limit or len(set(left) ^ set(right)) > 2 * limit:
        return limit + 1  # an edit takes at most one letter away and adds one
    before: list[int] = []
    above = list(range(len(right) + 1))
    for row, letter in enumerate(left, start=1):
        current = [row]
        for column, other in enumerate(right, start=1):
            cost = min(above[column] + 1, current[-1] + 1, above[column - 1] + (letter != other))
            if row > 1 and column > 1 and letter == right[column - 2] and left[row - 2] == other:
                cost = min(cost, before[column - 2] + 1)
            current.append(cost)
        if min(current) > limit:
            return limit + 1
        before, above = above, current
    return min(above[-1], limit + 1)


def reach(word: str) -> int:
    """How many edits away a name may be and still count as meant: at one letter, none."""
    if len(word) <= 1:
        return 0
    return 1 if len(word) < SHORT_NAME else 2


class Guesses:
    """Looks for the names that somebody meant as long as there is ``work`` left; then it finds none any more."""

    def __init__(self, work: int = WORK) -> None:
        self.work = work

    def nearest(self, word: str, names: Iterable[str]) -> str | None:
        """The closest of ``names`` within reach of ``word``; the first one given wins a tie."""
        if len(word) > LONG_NAME or self.work <= 0:
            return None
        limit, length, letters = reach(word), len(word), set(word)
        best: str | None = None
        for name in names:
            self.work -= 1
            if abs(length - len(name)) > limit or len(letters.symmetric_difference(name)) > 2 * limit:
                continue
            self.work -= length
            found = distance(word, name, limit)
            if found <= limit and name != word:
                best, limit = name, found - 1
            if limit <= 0 or self.work <= 0:
                break
        return best


def nearest(word: str, names: Iterable[str]) -> str | None:
    """The closest of ``names`` within reach of ``word``, where these are few."""
    return Guesses().nearest(word, names)
