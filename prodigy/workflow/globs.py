"""Globs: ``*`` and ``?`` stay within a folder, ``**`` crosses folders, ``**/`` stands for any folders or none.

Pure. A glob is matched by following all ways through it at once, a bit for each place reached: the time grows with
the length of the text times that of the glob, whatever both are, where a regular expression might never end.
"""

import re
from collections.abc import Callable, Iterable
from functools import lru_cache

from prodigy.errors import WorkflowError

_TOKEN = re.compile(r"(?:\*\*/)+|\*+|\?|\[[!^]?\]?[^\]]+\]|.", re.DOTALL)
_FOLDERS = "**/"

Accepts = Callable[[str], bool]


class BadGlob(WorkflowError):
    """A glob with a set of characters that is none."""

    def __init__(self, glob: str) -> None:
        super().__init__("bad-glob", f"`{glob}` is not a glob")


class Glob:
    """A glob, ready to be matched.

    Places are bits: the lowest is the beginning of the glob, the highest its end. At a place a character may be passed
    to the next one (``_steps``), taken without leaving (``_stays``), or the place may be left at once, by one or two
    bits (``_skips``): at ``**/`` there are two places, before it and in the middle of a folder's name.

    Raises:
        BadGlob: it cannot be read.
    """

    def __init__(self, glob: str) -> None:
        self._steps: list[tuple[int, Accepts]] = []
        self._leaps = self._stays_within = self._stays_anywhere = 0
        self._skips: list[tuple[int, int]] = []
        place = 0
        for token in _TOKEN.findall(glob):
            place = self._read(token, place, glob)
        self._end = 1 << place
        self._passed: dict[str, int] = {}

    def _read(self, token: str, place: int, glob: str) -> int:
        """Take up a token at a place; the place behind it."""
        here, after = 1 << place, 1 << (place + 1)
        if token.startswith(_FOLDERS):
            self._steps.append((here, lambda _: True))
            self._leaps |= here
            self._stays_anywhere |= after
            self._steps.append((after, lambda char: char == "/"))
            self._skips.append((here, 2))
            return place + 2
        if token.startswith("*"):
            if len(token) > 1:
                self._stays_anywhere |= here
            else:
                self._stays_within |= here
            self._skips.append((here, 1))
        else:
            self._steps.append((here, _accepts(token, glob)))
        return place + 1

    def matches(self, text: str) -> bool:
        """Whether the whole of a text matches."""
        places = self._skipped(1)
        for char in text:
            stays = self._stays_anywhere if char == "/" else self._stays_anywhere | self._stays_within
            leaps = (places & self._leaps) << 2 if char == "/" else 0
            places = self._skipped((places & self._passes(char)) << 1 | places & stays | leaps)
            if not places:
                return False
        return bool(places & self._end)

    def _passes(self, char: str) -> int:
        """The places at which a character leads to the next one."""
        if char not in self._passed:
            self._passed[char] = sum(place for place, accepts in self._steps if accepts(char))
        return self._passed[char]

    def _skipped(self, places: int) -> int:
        """With the places that are reached without a character; ``_skips`` lead onward only, in their order."""
        for place, far in self._skips:
            if places & place:
                places |= place << far
        return places


def _accepts(sign: str, glob: str) -> Accepts:
    if sign == "?":
        return lambda char: char != "/"
    if len(sign) == 1:
        return lambda char: char == sign
    inner = sign[1:-1].replace("\\", "\\\\").replace("[", "\\[")
    try:
        one = re.compile(f"[^{inner[1:]}]" if inner[0] in "!^" else f"[{inner}]", re.DOTALL)
    except re.error:
        raise BadGlob(glob) from None
    return lambda char: one.match(char) is not None


def matches(text: str, globs: Iterable[str]) -> bool:
    """Whether a path matches one of the globs; without ``/`` a glob speaks of the last part only.

    Raises:
        BadGlob: one cannot be read.
    """
    name = text.rpartition("/")[2]
    return any(_glob(glob).matches(text if "/" in glob else name) for glob in globs)


def matches_path(path: str, glob: str) -> bool:
    """Whether a whole path matches a glob, which speaks of the top folder where it holds no ``/``.

    Raises:
        BadGlob: it cannot be read.
    """
    return _glob(glob).matches(path)


_glob = lru_cache(maxsize=1024)(Glob)
