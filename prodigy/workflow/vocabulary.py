"""What a vocabulary is: the keys of one kind of mapping, their spellings, and whether this release acts on them.

Pure data. A key is *acting*, *later* (legal, refused until it works in full) or *inert* (accepted without effect,
with a warning).
"""

import re
from collections.abc import Mapping
from enum import Enum

from msgspec import Struct


class Standing(Enum):
    """What this release does with a key."""

    ACTING = "acting"
    LATER = "later"
    INERT = "inert"


class Key(Struct, frozen=True):
    """One key: canonical name, equal spellings, and spellings that still work but warn.

    A ``nullable`` key keeps a value of null; any other counts as absent then.
    """

    name: str
    also: tuple[str, ...] = ()
    old: tuple[str, ...] = ()
    standing: Standing = Standing.ACTING
    hint: str | None = None
    nullable: bool = False


class Spelling(Struct, frozen=True):
    """A text that names a key."""

    key: Key
    deprecated: bool = False


class Vocabulary(Struct, frozen=True):
    """The keys of one kind of mapping.

    ``title`` names it in messages (``unknown key `x` in `map```), ``home`` says where such keys belong. Keys that are
    ``words`` choose one of several, as values do elsewhere, and may be written in any style of case.
    """

    title: str
    home: str
    spellings: Mapping[str, Spelling]
    words: bool = False

    def spelling(self, text: str) -> Spelling | None:
        """What a text names, if it is a key of this kind."""
        return self.spellings.get(text) or (self.spellings.get(snake_case(text)) if self.words else None)

    def names(self) -> list[str]:
        """Every text that may be written, canonical names first."""
        return sorted(self.spellings, key=lambda text: self.spellings[text].key.name != text)


_HUMP = re.compile(r"(?<=[a-z0-9])(?=[A-Z])")


def snake_case(text: str) -> str:
    """A word in the style of the language: ``per_agent`` for ``PerAgent``, ``per-agent`` and ``Per Agent``."""
    return _HUMP.sub("_", text.strip()).lower().replace("-", "_").replace(" ", "_")


def vocabulary(title: str, home: str, *groups: tuple[Key, ...], words: bool = False) -> Vocabulary:
    """A vocabulary of keys; where a name is given twice the first one counts."""
    spellings: dict[str, Spelling] = {}
    for key in (key for group in groups for key in group):
        for text in (key.name, *key.also):
            spellings.setdefault(text, Spelling(key))
        for text in key.old:
            spellings.setdefault(text, Spelling(key, deprecated=True))
    return Vocabulary(title, home, spellings, words)


def acting(*names: str) -> tuple[Key, ...]:
    """Keys that act; ``name=other=another`` gives further spellings of ``name``."""
    return _keys(names, Standing.ACTING)


def later(*names: str) -> tuple[Key, ...]:
    """Keys of coming releases, written as for ``acting``."""
    return _keys(names, Standing.LATER)


def inert(name: str, hint: str) -> Key:
    """A key that is accepted and does nothing; ``hint`` says what to do instead."""
    return Key(name, standing=Standing.INERT, hint=hint)


def _keys(names: tuple[str, ...], standing: Standing) -> tuple[Key, ...]:
    spelled = (name.split("=") for name in names)
    return tuple(Key(name, tuple(others), standing=standing) for name, *others in spelled)
