"""Reading the text of an expression: signs, words, numbers, strings and references.

Pure. A ``Cursor`` skips white space in front of whatever it looks for. Words are known in any case, with or without
underscores.
"""

import re
from math import isfinite
from typing import Final

from prodigy.errors import WorkflowError
from prodigy.workflow.expression_functions import plain_word
from prodigy.workflow.expression_tree import Constant, Filled, Quoted
from prodigy.workflow.refs import NAME, PATH, AnyRef, body_end, parse_ref

MAX_DEPTH: Final = 32
"""Levels of parentheses, lists, calls, denials and references."""
_BLANK = re.compile(r"\s*")
_SIGNS = r"&&|\|\||==|=~|!=|!~|<>|<=|>=|[=<>!()\[\],}]"
_SIGN = re.compile(_SIGNS)
_NUMBER = re.compile(r"-?(?:\d+(?:\.\d+)?|\.\d+)(?:[eE][+-]?\d+)?(?![\w.])", re.ASCII)
_STRING_PART = re.compile(r"[^'\"\\$]+|\\u([0-9A-Fa-f]{4})|\\.|\$\{|.", re.DOTALL)
_UNEXPECTED = re.compile(rf"[\w-]+|{_SIGNS}|.", re.DOTALL)
_SURROGATE = re.compile("[\ud800-\udfff]")
_MAX_DIGITS = 4_000
_ESCAPES = {"\\\\": "\\", "\\'": "'", '\\"': '"', "\\n": "\n", "\\t": "\t"}
_HINTS = {
    "&": "write `&&` or `and`", "|": "write `||` or `or`", "=": "write `==`", "$": "write `${NAME}`",
    "+": "there is no arithmetic here", "-": "there is no arithmetic here", "*": "there is no arithmetic here",
    "@": "write `item.FIELD` for a field of the item", "?": "there is no choice between two values here",
    "/": "there is no arithmetic here, and a regular expression is text: 'a.*'", ",": "lists are written `[a, b]`",
    "like": "use `contains`, `starts_with`, `ends_with` or `matches`", "between": "write `x >= 1 and x <= 9`",
}  # fmt: skip


class BadExpression(WorkflowError):
    """A text that is no expression; ``column`` counts its characters from 1."""

    def __init__(
        self, message: str, column: int, hint: str | None = None, *, code: str = "bad-expression"
    ) -> None:
        super().__init__(code, message, hint=hint)
        self.column = column


class Cursor:
    """A place in a text, and how deep it is nested."""

    def __init__(self, source: str) -> None:
        self.source = source
        self.at = 0
        self.depth = 0

    @property
    def column(self) -> int:
        """Where the next character that is not blank stands, from 1."""
        match = _BLANK.match(self.source, self.at)
        self.at = match.end() if match else self.at
        return self.at + 1

    @property
    def next(self) -> str:
        """The next character, ``""`` at the end."""
        return self.source[self.column - 1 : self.at + 1]

    def match(self, pattern: re.Pattern[str]) -> re.Match[str] | None:
        """What of a pattern stands here, not yet read."""
        return pattern.match(self.source, self.column - 1)

    def sign(self) -> str:
        """The next operator or bracket, if one stands here."""
        match = self.match(_SIGN)
        return match[0] if match else ""

    def word(self) -> str:
        """The next word as ``plain_word`` writes it, if one stands here."""
        match = self.match(NAME)
        return plain_word(match[0]) if match else ""

    def take(self, sign: str) -> bool:
        """Whether ``sign`` stands here; if so, it is read."""
        found = self.sign() == sign
        self.at += len(sign) if found else 0
        return found

    def take_word(self, word: str) -> bool:
        """As ``take``, for a word."""
        match = self.match(NAME)
        if match is None or plain_word(match[0]) != word:
            return False
        self.at = match.end()
        return True

    def expect(self, sign: str, hint: str | None = None) -> None:
        """Read ``sign``; nothing else may stand here."""
        if not self.take(sign):
            raise self.unexpected(f"stands where `{sign}` should be", hint)

    def unexpected(self, why: str, hint: str | None = None) -> BadExpression:
        """An error about the next word or character."""
        match = self.match(_UNEXPECTED)
        if match is None:
            return BadExpression(f"the end {why}", self.column, hint)
        return BadExpression(f"`{match[0]}` {why}", self.column, hint or _HINTS.get(match[0].lower()))

    def deeper(self) -> None:
        """Go down one level; the caller resets ``depth``."""
        self.depth += 1
        if self.depth > MAX_DEPTH:
            raise BadExpression(f"nested deeper than {MAX_DEPTH} levels", self.column)

    def reference(self) -> AnyRef | None:
        """The reference whose ``${`` stands here, not yet read."""
        start = self.column + 1
        end = body_end(self.source, start, len(self.source))
        return None if end < 0 else parse_ref(self.source[start:end])

    def number(self) -> Constant | None:
        """A number, if one stands here; whole numbers stay exact."""
        match = self.match(_NUMBER)
        if match is None:
            return None
        number = _number(match[0])
        if number is None:
            raise BadExpression("this number is too large", self.column)
        self.at = match.end()
        return Constant(number)

    def string(self) -> Constant | Quoted:
        """The string literal whose quote stands here."""
        column, quote = self.column, self.next
        self.at += 1
        pieces: list[str | Filled] = []
        letters: list[str] = []
        while part := _STRING_PART.match(self.source, self.at):
            if part[0] == "${":
                pieces += [_joined(letters, column), self._inner_reference(quote)]
                letters.clear()
                continue
            self.at = part.end()
            if part[0] == quote:
                last = _joined(letters, column)
                return Quoted((*pieces, last)) if pieces else Constant(last)
            letters.append(_unescaped(part))
        raise BadExpression("this text has no closing quote", column)

    def _inner_reference(self, quote: str) -> Filled:
        """A reference inside a string, whose own quote may stand in the reference's path only."""
        column = self.at + 1
        ref = self.reference()
        path = PATH.search(ref.source) if ref is not None else None
        if ref is None or (path is not None and quote in ref.source[path.end() :]):
            message = "`${` in this text begins no reference"
            raise BadExpression(message, column, "write `\\u0024{` for a literal `${`")
        self.at += len(ref.source)
        return Filled(ref, column)


def _number(text: str) -> int | float | None:
    if text.removeprefix("-").isdigit():
        return int(text) if len(text) <= _MAX_DIGITS else None
    number = float(text)
    return number if isfinite(number) else None


def _unescaped(part: re.Match[str]) -> str:
    return chr(int(part[1], 16)) if part[1] else _ESCAPES.get(part[0], part[0])


def _joined(letters: list[str], column: int) -> str:
    """The letters as text; two halves of a character outside the first plane become one."""
    text = "".join(letters)
    if not _SURROGATE.search(text):
        return text
    try:
        return text.encode("utf-16", "surrogatepass").decode("utf-16")
    except UnicodeDecodeError:
        raise BadExpression("this text holds half a character", column) from None
