"""Keeping the values of secrets out of everything that is written down.

Rules:

- A value is hidden as it is, as JSON text (twice over too), as base64 whatever stands before it, and URL-encoded; and
  each of these also when line breaks, real or escaped ones, with the blanks that indent a line, come between any two
  of its characters.
- Each line of a value of several lines is hidden as a value of its own, as it is and as JSON text, if it is long enough
  to be one.
- Where a text has been cut, parts of a value are hidden too: beside a ``…`` at its ends, and at the beginning of what is
  so long that it may be the end of something longer. Elsewhere a part of a value is a word like any other.
- A stream is masked across its chunks: what may be the beginning of a value is held back until more is known.
- Data that is used again (items, captures) keeps the secret's *name* in the value's place, ``***TOKEN***``, so that it
  can be put back where it is needed; everything else shows ``***``.
- Where nothing matches, only literals are searched for; expressions are compiled when there is something to find.
"""

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

from prodigy.steps.secret_forms import (
    Form,
    Span,
    View,
    dense,
    dense_unescaped,
    encoded,
    forms_of,
    is_too_short,
)

MASK = "***"
MOST_HELD = 64 * 1024
"""Bytes of a stream that are held back at most, besides twice the longest form of a secret."""

_MASK = MASK.encode()
_ELLIPSIS = "…".encode()
_TAIL = 4096
"""Characters from which a text may be the end of something longer, with a part of a secret at its beginning."""
_NAMED = re.compile(r"\*\*\*([A-Za-z_]\w*)\*\*\*", re.ASCII)


class Masker:
    """Hides the values of some secrets.

    Args:
        secrets: value by name. Values that are too short to be hidden are left out; whoever declares secrets refuses
            them (``is_too_short``).
    """

    def __init__(self, secrets: Mapping[str, str]) -> None:
        self._secrets = {name: value for name, value in secrets.items() if not is_too_short(value)}
        forms = {form: name for name, value in self._secrets.items() for form in forms_of(value)}
        self._forms = [Form(literal) for literal in sorted(forms, key=len, reverse=True)]
        self._names = {encoded(value): name for name, value in self._secrets.items()}
        self._shortest = min((form.fragment for form in self._forms), default=0)
        self.longest = max((len(form.literal) for form in self._forms), default=0)
        """Bytes of the longest form."""

    @property
    def secrets(self) -> Mapping[str, str]:
        """What is hidden, by name."""
        return self._secrets

    def __bool__(self) -> bool:
        """Whether there is anything to hide."""
        return bool(self._forms)

    def also(self, secrets: Mapping[str, str]) -> "Masker":
        """One that hides further secrets too; a name that is known with another value keeps both hidden."""
        if all(self._secrets.get(name) == value for name, value in secrets.items()):
            return self
        kept = dict(secrets)
        for name, value in self._secrets.items():
            while kept.setdefault(name, value) != value:
                name += "_"  # noqa: PLW2901 - a name of its own
        return Masker(kept)

    # -- texts and data --------------------------------------------------------------------------------------------
    def text(self, text: str) -> str:
        """A text with ``***`` for every secret, and for parts of one where it has been cut."""
        return self._replaced(text, _hide)

    def data(self, value: Any) -> Any:
        """Plain data with ``***`` for every secret in its texts, keys included; the same object if there is none."""
        return _each_text(value, self.text)

    def raw(self, data: bytes) -> bytes:
        """Bytes with ``***`` for every secret."""
        return _cut_out(data, self.spans(data), _hide)

    def found(self, data: bytes) -> bool:
        """Whether a secret is in the data, in any form."""
        return bool(self.spans(data))

    # -- names in place of values ----------------------------------------------------------------------------------
    def named(self, value: Any) -> Any:
        """Plain data with ``***NAME***`` for every secret as it is, and ``***`` for its other forms."""
        return _each_text(value, lambda text: self._replaced(text, self.name_of))

    def named_bytes(self, data: bytes) -> bytes:
        """As ``named`` for the bytes of a text."""
        return _cut_out(data, self.spans(data), self.name_of)

    def reveal(self, value: Any) -> Any:
        """What ``named`` was given, but for values in other forms."""
        return _each_text(value, self._revealed) if self else value

    def name_of(self, found: bytes) -> bytes:
        """What ``named`` puts in the place of a value."""
        name = self._names.get(found)
        return _MASK if name is None else _MASK + name.encode() + _MASK

    def _revealed(self, text: str) -> str:
        if MASK not in text:
            return text
        return _NAMED.sub(lambda match: self._secrets.get(match[1], match[0]), text)

    # -- finding ---------------------------------------------------------------------------------------------------
    def spans(self, data: bytes) -> list[Span]:
        """Where secrets stand, in order; what overlaps is one span."""
        hits = self._hits(data)
        return _union(span for form in hits for span in form.spans(data)) if hits else []

    def _hits(self, data: bytes) -> "list[Form]":
        """The forms that may be in the data; most often none."""
        solid = dense(data)
        hits = [form for form in self._forms if form.dense in solid]
        if b"\\n" in data or b"\\r" in data:
            unescaped = dense_unescaped(data)
            hits += [form for form in self._forms if form.unescaped in unescaped and form not in hits]
        return hits

    def _replaced(self, text: str, put: View) -> str:
        if len(text) < self._shortest or not self._forms:
            return text
        data = encoded(text)
        spans = _union([*self.spans(data), *self._fragments(data)])
        return _cut_out(data, spans, put).decode("utf-8", "surrogateescape") if spans else text

    def _fragments(self, data: bytes) -> Iterator[Span]:
        """Parts of secrets where something has been cut off."""
        end = len(data.removesuffix(_ELLIPSIS))
        start = len(data) - len(data.removeprefix(_ELLIPSIS))
        for form in self._forms if end < len(data) else ():
            last = _overlap(data[max(0, end - len(form.literal)) : end], form.literal)
            if last >= form.fragment:
                yield end - last, end
        for form in self._forms if start > 0 or len(data) >= _TAIL else ():
            first = _overlap(data[start : start + len(form.literal)][::-1], form.literal[::-1])
            if first >= form.fragment:
                yield start, start + first

    def held(self, data: bytes) -> int:
        """How many bytes at the end may be the beginning of a secret; rather too many than too few."""
        escapes = b"\\" in data
        views = [dense, dense_unescaped] if escapes else [dense]
        most = max((self._held(data, view) for view in views), default=0)
        return most if most <= MOST_HELD + 2 * self.longest else 0

    def _held(self, data: bytes, view: View) -> int:
        end = view(data[-MOST_HELD - 2 * self.longest :])
        bare = end.rstrip(b"\\")
        most = max((_overlap(end, form.needle(view)) for form in self._forms), default=0)
        if bare != end:  # a break may be in the middle of being escaped
            begun = max(_overlap(bare, form.needle(view)) for form in self._forms)
            most = max(most, begun + len(end) - len(bare) if begun else 0)
        if not most:
            return 0
        if view is not dense:
            most += 1  # an escape that is cut in two shows a byte too many
        width = most
        while width < len(data) and (missing := most - len(view(data[-width:]))) > 0:
            width += missing
        return min(width, len(data))


class MaskedStream:
    """One stream of bytes, masked as it comes.

    Args:
        masker: what to hide; with nothing to hide, chunks go through as they are.
        named: whether names take the place of values, since the stream is data that is used again.
    """

    def __init__(self, masker: Masker, *, named: bool = False) -> None:
        self._masker = masker
        self._put = masker.name_of if named else _hide
        self._held = b""

    def feed(self, chunk: bytes) -> bytes:
        """What of the stream so far can be told now and was not told before."""
        if not self._masker:
            return chunk
        data = self._held + chunk
        spans = self._masker.spans(data)
        until = len(data) - self._masker.held(data)
        for start, end in spans:
            if start < until < end:
                until = start
        self._held = data[until:]
        return _cut_out(data[:until], [span for span in spans if span[1] <= until], self._put)

    def rest(self) -> bytes:
        """What is left when nothing more comes."""
        data, self._held = self._held, b""
        return _cut_out(data, self._masker.spans(data), self._put) if data else b""


# -- parts -------------------------------------------------------------------------------------------------------------
def _overlap(data: bytes, needle: bytes) -> int:
    """The length of the longest end of the data that the needle, longer than it, begins with."""
    end = data[-(len(needle) - 1) :] if len(needle) > 1 else b""
    place = end.find(needle[:1])
    while place >= 0:
        if needle.startswith(end[place:]):
            return len(end) - place
        place = end.find(needle[:1], place + 1)
    return 0


def _hide(_: bytes) -> bytes:
    return _MASK


def _union(spans: Iterable[Span]) -> list[Span]:
    joined: list[Span] = []
    for start, end in sorted(spans):
        if joined and start < joined[-1][1]:
            joined[-1] = joined[-1][0], max(end, joined[-1][1])
        else:
            joined.append((start, end))
    return joined


def _cut_out(data: bytes, spans: Iterable[Span], put: View) -> bytes:
    parts: list[bytes] = []
    position = 0
    for start, end in spans:
        parts += [data[position:start], put(data[start:end])]
        position = end
    return b"".join([*parts, data[position:]]) if parts else data


def _each_text(value: Any, change: Callable[[str], str]) -> Any:
    """Plain data with its texts changed; what holds no change stays the same object."""
    if isinstance(value, str):
        return change(value)
    if isinstance(value, list | tuple):
        elements = [_each_text(element, change) for element in value]
        same = all(new is old for new, old in zip(elements, value, strict=True))
        return value if same else type(value)(elements)
    if isinstance(value, Mapping):
        pairs = [(_each_text(key, change), _each_text(held, change)) for key, held in value.items()]
        same = all(
            new is old and key is was for (key, new), (was, old) in zip(pairs, value.items(), strict=True)
        )
        return value if same else dict(pairs)
    return value
