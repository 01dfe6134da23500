"""Texts and trees changed at random: by letters, by pieces, by repetition, and by putting one into another.

Pure: the random numbers are given. Nothing grows beyond ``LONGEST`` characters or ``DEEPEST`` levels by much. Most
inputs are changed a little only, so that what reads them gets far.
"""

import json
import random
import re
from collections.abc import Callable, Sequence
from typing import Any

from msgspec import Struct

LONGEST = 20_000
DEEPEST = 80
CHANGES = (1, 1, 1, 2, 2, 5)

_PIECES = re.compile(r"\w+|\s+|.", re.DOTALL)
NASTY = (
    "${", "}", "$", "\\", "'", '"', "`", "$(", "((", "))", "<<", "<<'E'\n", "\n", "\r\n", "\t", "\0", "\u2028", "é",
    "😀", "\ufeff", "[", "]", "(", ")", "{", ":", ":-", "|", ",", ".", "..", "*", "&a ", "*a", "!", "!!x ", "#", "?",
    "-", "- ", "---\n", "%", "@", "~", "=", "==", "=~", "&&", "||", ";;", "esac", " not ", " and ", " in ", "null", "1e999",
    "-1", "0", "00", "0x1F", "9" * 30, "1.5", "10s", "25%", "true", "item", "item.x", "${item.x}", "${x:-", "map.results[*]",
    "text", "${text}", "${list}", "\x1b[0m", "\x7f", "E\n", "EOF\n", "{1000000}",
    "{9999999,}", "{0,1000000}", "(a|a|aa)*b", "(?x)", ".*.*.*",
)  # fmt: skip
SCALARS: tuple[Any, ...] = (
    None, True, False, 0, 1, -1, 7, 1.5, 10**20, -(10**20), float("inf"), "", " ", "x", "10s", "none", "25%", "${N}",
    "${item.x}", "$.a[*]", "a.yml", "../x", "/etc/x", "main", "claude", "shell: x", "/x", "item.n == 1", "[", "(a+)+",
    [], {}, [[]], [None], {"": None}, {"x": {"x": []}},
)  # fmt: skip


def mutated(text: str, others: Sequence[str], chance: random.Random) -> str:
    """A text after some changes."""
    for _ in range(chance.choice(CHANGES)):
        text = chance.choice(_TEXT_CHANGES)(text, others, chance)[:LONGEST]
    return text


class Grafts:
    """What stands where in some trees: by the key that a mapping stands under, and by the key of a value."""

    def __init__(self, trees: Sequence[Any], keys: Sequence[str]) -> None:
        self.keys = keys
        self.members: dict[str, list[tuple[str, Any]]] = {}
        self.values: dict[str, list[Any]] = {}
        for tree in trees:
            self._take(tree, "")

    def _take(self, tree: Any, context: str) -> None:
        if isinstance(tree, dict):
            for key, value in tree.items():
                self.members.setdefault(context, []).append((str(key), value))
                self.values.setdefault(str(key), []).append(value)
                self._take(value, str(key))
        elif isinstance(tree, list):
            for value in tree:
                self._take(value, context)


def mutated_tree(tree: Any, grafts: Grafts, chance: random.Random) -> str:
    """A tree after some changes, as JSON."""
    root = [_copied(tree)]
    for _ in range(chance.choice(CHANGES)):
        _change(root, grafts, chance)
    text = json.dumps(root[0], ensure_ascii=chance.random() < 0.5)
    return re.sub(r"\b(?:NaN|-?Infinity)\b", "1e999", text)


# Texts -----------------------------------------------------------------------------------------------------------
def _span(text: str, chance: random.Random, longest: int) -> tuple[int, int]:
    start = chance.randrange(len(text) + 1)
    return start, min(len(text), start + chance.randrange(longest + 1))


def _insert(text: str, _: Sequence[str], chance: random.Random) -> str:
    at = chance.randrange(len(text) + 1)
    return text[:at] + chance.choice(NASTY) + text[at:]


def _replace_letter(text: str, _: Sequence[str], chance: random.Random) -> str:
    at = chance.randrange(len(text) + 1)
    return text[:at] + chance.choice(NASTY)[:1] + text[at + 1 :]


def _delete(text: str, _: Sequence[str], chance: random.Random) -> str:
    start, end = _span(text, chance, 12)
    return text[:start] + text[end:]


def _cut(text: str, _: Sequence[str], chance: random.Random) -> str:
    at = chance.randrange(len(text) + 1)
    return text[:at] if chance.random() < 0.7 else text[at:]


def _repeat(text: str, _: Sequence[str], chance: random.Random) -> str:
    start, end = _span(text, chance, 8)
    return text[:end] + text[start:end] * chance.choice((1, 2, 5, 20, 300)) + text[end:]


def _nest(text: str, _: Sequence[str], chance: random.Random) -> str:
    start, end = _span(text, chance, 30)
    opening, closing = chance.choice((
        ("(", ")"), ("[", "]"), ("{", "}"), ("${x:-", "}"), ("$(", ")"), ('"', '"'), ("'", "'"), ("`", "`"), ("!", ""),
        ("$((", "))"), ('"$(', ')"'), ("- ", ""), ("not ", ""), ("<<E\n", "\nE\n"),
    ))  # fmt: skip
    depth = chance.choice((1, 1, 2, 3, 20, 100))
    return text[:start] + opening * depth + text[start:end] + closing * depth + text[end:]


def _swap(text: str, _: Sequence[str], chance: random.Random) -> str:
    pieces = _PIECES.findall(text)
    if len(pieces) > 1:
        one, other = chance.randrange(len(pieces)), chance.randrange(len(pieces))
        pieces[one], pieces[other] = pieces[other], pieces[one]
    return "".join(pieces)


def _splice(text: str, others: Sequence[str], chance: random.Random) -> str:
    other = chance.choice(others)
    start, end = _span(other, chance, 60)
    at = chance.randrange(len(text) + 1)
    return text[:at] + other[start:end] + text[at:]


def _indent(text: str, _: Sequence[str], chance: random.Random) -> str:
    lines = text.split("\n")
    at = chance.randrange(len(lines))
    lines[at] = " " * chance.randrange(5) + (lines[at] if chance.random() < 0.5 else lines[at].lstrip())
    return "\n".join(lines)


_TEXT_CHANGES: tuple[Callable[[str, Sequence[str], random.Random], str], ...] = (
    _insert, _insert, _replace_letter, _delete, _cut, _repeat, _nest, _swap, _splice, _indent,
)  # fmt: skip


# Trees -----------------------------------------------------------------------------------------------------------
def _copied(tree: Any) -> Any:
    return json.loads(json.dumps(tree, default=str))


class Spot(Struct):
    """A container, one of its keys, and the key that the container stands under; a root is alone in a list."""

    holder: Any
    key: Any = 0
    context: str = ""
    is_root: bool = True

    @property
    def value(self) -> Any:
        """What stands there."""
        return self.holder[self.key]

    @value.setter
    def value(self, value: Any) -> None:
        self.holder[self.key] = value


def _spot(root: list[Any], chance: random.Random) -> Spot:
    """Some place of a tree, more often a deep one."""
    spot = Spot(root)
    for _ in range(DEEPEST):
        inner = spot.value
        if not isinstance(inner, dict | list) or not inner or chance.random() < 0.08:
            break
        context = str(spot.key) if isinstance(spot.holder, dict) else spot.context
        key = chance.choice(list(inner)) if isinstance(inner, dict) else chance.randrange(len(inner))
        spot = Spot(inner, key, context, is_root=False)
    return spot


def _change(root: list[Any], grafts: Grafts, chance: random.Random) -> None:
    """Change one place, in the first way drawn that it allows."""
    spot = _spot(root, chance)
    while not chance.choice(_TREE_CHANGES)(spot, grafts, chance):
        pass


def _anything(spot: Spot, _: Grafts, chance: random.Random) -> bool:
    spot.value = _copied(chance.choice(SCALARS))
    return True


def _remove(spot: Spot, _: Grafts, __: random.Random) -> bool:
    if spot.is_root:
        return False
    del spot.holder[spot.key]
    return True


def _rename(spot: Spot, grafts: Grafts, chance: random.Random) -> bool:
    if not isinstance(spot.holder, dict):
        return False
    spot.holder[chance.choice(grafts.keys)] = spot.holder.pop(spot.key)
    return True


def _member(spot: Spot, grafts: Grafts, chance: random.Random) -> bool:
    """Add what other mappings have that stand under the same key."""
    seen = grafts.members.get(spot.context)
    if not isinstance(spot.holder, dict) or not seen:
        return False
    name, value = chance.choice(seen)
    spot.holder[name] = _copied(value)
    return True


def _other_value(spot: Spot, grafts: Grafts, chance: random.Random) -> bool:
    seen = grafts.values.get(str(spot.key))
    if not seen:
        return False
    spot.value = _copied(chance.choice(seen))
    return True


def _again(spot: Spot, _: Grafts, __: random.Random) -> bool:
    if not isinstance(spot.holder, list) or spot.is_root:
        return False
    spot.holder.append(_copied(spot.value))
    return True


def _wrap(spot: Spot, grafts: Grafts, chance: random.Random) -> bool:
    for _ in range(chance.choice((1, 1, 1, 1, 3, 70))):
        spot.value = [spot.value] if chance.random() < 0.5 else {chance.choice(grafts.keys): spot.value}
    return True


def _text(spot: Spot, _: Grafts, chance: random.Random) -> bool:
    if not isinstance(spot.value, str):
        return False
    spot.value = mutated(spot.value, NASTY, chance)
    return True


_TREE_CHANGES: tuple[Callable[[Spot, Grafts, random.Random], bool], ...] = (
    _anything, _remove, _rename, _member, _member, _member, _other_value, _other_value, _again, _wrap, _text, _text,
)  # fmt: skip
