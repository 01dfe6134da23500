"""The ways in which a secret may be written, and how text that may be folded over lines is searched for them."""

import base64
import json
import re
from collections.abc import Callable, Iterator
from functools import cached_property

SHORTEST = 6
"""Characters of the shortest secret: anything less would be found everywhere."""
_BLANKS = b" \t\r\n"
_LINE_BREAKS = b"\r\n"
_ESCAPED = re.compile(rb"\\+[rnt]")
_ECHO = re.compile(rb"\\(?:[abfnrtv\\]|0[0-7]{1,3}|c.*)", re.DOTALL)
_GAP = rb"(?:(?:[\r\n]|\\+[rn])(?:[ \t]|\\+t)*)*"
_TIGHT_GAP = rb"(?:(?:[\r\n]|\\++[rn])(?:[ \t]|\\++t)*+)*+"
_MOST_LINES = 1000
"""Lines of a value that are hidden one by one; every one of them is searched for in everything that is printed."""
_FRAGMENT = 6
"""Bytes of a part of a secret that is hidden at the end of a text; half of it if that is less."""

Span = tuple[int, int]
View = Callable[[bytes], bytes]


def is_too_short(value: str) -> bool:
    """Whether a value has too few characters, blanks aside, to be kept secret."""
    return len("".join(value.split())) < SHORTEST


class Form:
    """One way in which a secret may be written, as bytes without line breaks."""

    def __init__(self, literal: bytes) -> None:
        self.literal = literal
        self.dense = dense(literal)
        self.unescaped = dense_unescaped(literal)
        self.fragment = min(_FRAGMENT, (len(literal) + 1) // 2)

    @cached_property
    def _pattern(self) -> re.Pattern[bytes]:
        """The literal, with line breaks allowed between any two of its bytes."""
        parts = [re.escape(self.literal[:1])]
        for place in range(1, len(self.literal)):
            byte = self.literal[place : place + 1]
            parts += [_GAP if byte in b" \t\\" else _TIGHT_GAP, re.escape(byte)]
        return re.compile(b"".join(parts))

    def needle(self, view: View) -> bytes:
        """The form as a view of the data shows it."""
        return self.dense if view is dense else self.unescaped

    def spans(self, data: bytes) -> Iterator[Span]:
        """Where it stands, overlapping places included."""
        position = 0
        while (match := self._pattern.search(data, position)) is not None:
            yield match.span()
            position = match.start() + 1


def forms_of(value: str) -> set[bytes]:
    """Every way in which a value is hidden, as literals without line breaks."""
    whole = encoded(value)
    bare = whole.translate(None, _LINE_BREAKS)
    text = decoded(bare)
    escaped = {dumped for ascii_only in (True, False) for dumped in _json_texts(text, ascii_only)}
    slashes = {form.replace("/", "\\/") for form in escaped}
    echoed = _echoed(whole).translate(None, _LINE_BREAKS)
    literals = {bare, echoed, *map(encoded, escaped | slashes), *_base64(whole), *_url_encoded(whole)}
    literals |= {form for line in value.splitlines()[:_MOST_LINES] for form in _line_forms(line.strip())}
    return {literal for literal in literals if len(dense(literal)) >= SHORTEST}


def _line_forms(line: str) -> Iterator[bytes]:
    """A line that may be printed without the others: as it is, and as JSON text."""
    if not is_too_short(line):
        yield encoded(line)
        yield from (encoded(next(_json_texts(line, ascii_only))) for ascii_only in (True, False))


def _json_texts(text: str, ascii_only: bool) -> Iterator[str]:  # noqa: FBT001 - json's own switch
    """The inside of a JSON string, and of one that holds it."""
    for _ in range(2):
        text = json.dumps(text, ensure_ascii=ascii_only)[1:-1]
        yield text


def _echoed(value: bytes) -> bytes:
    """As the ``echo`` of many a ``sh`` prints it, which reads backslashes as escapes."""
    return _ECHO.sub(lambda found: _unescaped(found[0]), value)


def _unescaped(escape: bytes) -> bytes:
    match escape[1:2]:
        case b"c":  # and what follows is not printed
            return b""
        case b"0":
            return bytes([int(escape[1:], 8) & 0xFF])
        case letter:
            return letter.translate(bytes.maketrans(b"abfnrtv", b"\a\b\f\n\r\t\v"))


def _base64(value: bytes) -> Iterator[bytes]:
    """The digits that depend on the value alone, for each number of bytes that may stand before it."""
    for before, mixed in ((0, 0), (1, 2), (2, 3)):
        digits = base64.b64encode(bytes(before) + value)
        certain = digits[mixed : 8 * (before + len(value)) // 6]
        yield certain
        yield certain.translate(bytes.maketrans(b"+/", b"-_"))


def _url_encoded(value: bytes) -> Iterator[bytes]:
    """As the usual encoders write it, which disagree about what needs no encoding and about the case of digits."""
    from urllib.parse import quote, quote_plus

    written = {quote(value, safe=safe) for safe in ("", "/", "!'()*", "!'()*;/?:@&=+$,#")}
    written |= {quote_plus(value), quote_plus(value, safe="*").replace("~", "%7E")}
    for text in written:
        yield text.encode()
        yield re.sub("%..", lambda digits: digits[0].lower(), text).encode()


def dense(data: bytes) -> bytes:
    """The data without blanks and line breaks."""
    return data.translate(None, _BLANKS)


def dense_unescaped(data: bytes) -> bytes:
    """The data without blanks and line breaks, escaped ones included."""
    return _ESCAPED.sub(b"", data).translate(None, _BLANKS)


def encoded(text: str) -> bytes:
    """UTF-8, with what is no text kept."""
    try:
        return text.encode("utf-8", "surrogateescape")
    except UnicodeEncodeError:
        return text.encode("utf-8", "surrogatepass")


def decoded(data: bytes) -> str:
    """What ``encoded`` was given."""
    return data.decode("utf-8", "surrogateescape")
