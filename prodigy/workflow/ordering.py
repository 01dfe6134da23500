"""Putting items in order, and leaving out those that are there already.

Pure. A sort text is ``path [ASC|DESC] [NULLS FIRST|NULLS LAST]``, several of them separated by commas. Paths are those
of filters: ``item.x`` and ``x`` are the same field, ``item`` is the item, ``index`` its place.
"""

from collections.abc import Sequence
from functools import lru_cache
from operator import itemgetter
from typing import Any

from msgspec import Struct

from prodigy.workflow.expression_text import BadExpression, Cursor
from prodigy.workflow.expression_tree import field_of
from prodigy.workflow.expression_values import Kind, kind_of, sort_key
from prodigy.workflow.refs import PATH, parse_path
from prodigy.workflow.scope import Path
from prodigy.workflow.values import TemplateError

_DIRECTIONS = {"asc": False, "ascending": False, "desc": True, "descending": True}
_PLACES = {"first": True, "last": False}


class SortKey(Struct, frozen=True):
    """One field to sort by; null and missing values stand last unless ``nulls_first``, whatever the direction."""

    path: Path
    descending: bool = False
    nulls_first: bool = False


class Unsortable(TemplateError):
    """Values that cannot be compared with each other."""

    def __init__(self) -> None:
        super().__init__("bad-value", "an item is nested too deep to be compared with others")


def parse_sort(source: str | Sequence[str]) -> tuple[SortKey, ...]:
    """The keys that a sort text, or a list of such texts, names; none if it is blank.

    Raises:
        BadExpression: it names something else; its column counts the characters of that one text.
    """
    texts = (source,) if isinstance(source, str) else source
    return tuple(key for text in texts for key in _keys(text))


def parse_field(source: str) -> Path:
    """The path to one field, as ``distinct`` names it; raises ``BadExpression``."""
    text = Cursor(source)
    path = _path(text)
    if text.next:
        raise text.unexpected("is left over")
    return path


def sort_items(items: Sequence[Any], keys: Sequence[SortKey]) -> list[Any]:
    """The items in order of the keys, the first one first; equal items stay as they were.

    Values of different types stand in the order null, booleans, numbers, texts, lists, objects.

    Raises:
        Unsortable: values are nested too deep.
    """
    rows = list(enumerate(items))
    for key in reversed(keys):
        rows = _sorted_by(key, rows)
    return [item for _, item in rows]


def distinct_items(items: Sequence[Any], path: Path) -> list[Any]:
    """The items without those whose field has the value of an earlier one's; null and missing values all stay.

    Raises:
        Unsortable: values are nested too deep.
    """
    seen: set[tuple[Any, ...]] = set()
    kept: list[Any] = []
    for index, item in enumerate(items):
        key = _comparable(field_of(item, index, path))
        if key[0] is Kind.NULL or key not in seen:
            kept.append(item)
        seen.add(key)
    return kept


def _sorted_by(key: SortKey, rows: list[tuple[int, Any]]) -> list[tuple[int, Any]]:
    nulls: list[tuple[int, Any]] = []
    others: list[tuple[tuple[Any, ...], tuple[int, Any]]] = []
    for row in rows:
        value = field_of(row[1], row[0], key.path)
        if kind_of(value) is Kind.NULL:
            nulls.append(row)
        else:
            others.append((_comparable(value), row))
    try:
        others.sort(key=itemgetter(0), reverse=key.descending)
    except RecursionError:
        raise Unsortable from None
    ordered = [row for _, row in others]
    return nulls + ordered if key.nulls_first else ordered + nulls


def _comparable(value: Any) -> tuple[Any, ...]:
    try:
        key = sort_key(value)
        hash(key)  # walks the whole key, so what is too deep is found here
    except RecursionError:
        raise Unsortable from None
    return key


@lru_cache(maxsize=256)
def _keys(source: str) -> tuple[SortKey, ...]:
    text = Cursor(source)
    if not text.next:
        return ()
    keys = [_key(text)]
    while text.take(","):
        keys.append(_key(text))
    if text.next:
        raise text.unexpected(
            "is left over", "write `path [ASC|DESC] [NULLS FIRST|LAST]`, separated by commas"
        )
    return tuple(keys)


def _key(text: Cursor) -> SortKey:
    path = _path(text)
    descending = _DIRECTIONS.get(_take(text, _DIRECTIONS), False)
    if not text.take_word("nulls"):
        return SortKey(path, descending)
    place = _take(text, _PLACES)
    if not place:
        raise text.unexpected("cannot follow `NULLS`", "write `NULLS FIRST` or `NULLS LAST`")
    return SortKey(path, descending, _PLACES[place])


def _path(text: Cursor) -> Path:
    match = text.match(PATH)
    if match is None:
        hint = "write `path DESC`" if text.next == "-" else None
        raise text.unexpected("is no path to a field", hint) if text.next else _missing(text)
    text.at = match.end()
    return parse_path(match[0])


def _missing(text: Cursor) -> BadExpression:
    return BadExpression("a path to a field is missing", text.column)


def _take(text: Cursor, words: dict[str, bool]) -> str:
    """The next word if it is one of ``words``, read; else ``""``."""
    word = text.word()
    return word if word in words and text.take_word(word) else ""
