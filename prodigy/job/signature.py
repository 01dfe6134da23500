"""The signature of an error: the same for failures that differ only in what varies from item to item.

Pure. The signature hashes the error class, the step, and the message after everything accidental in it (times, ids,
quoted text, paths, hexadecimal and decimal numbers, white space) was replaced by a word for its kind.
"""

import hashlib
import re

from prodigy.events import Failure

_LONGEST = 4096
_PLACE = r"(?::\d+)*"
_RULES: tuple[tuple[re.Pattern[str], str], ...] = (
    (re.compile(r"\d{4}-\d\d-\d\d(?:[T ]\d\d:\d\d(?::\d\d(?:[.,]\d+)?)?(?:Z|[+-]\d\d:?\d\d)?)?"), "<time>"),
    (re.compile(r"\b[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}\b"), "<hex>"),
    (re.compile(r"(?<!\w)'[^'\n]*'(?!\w)"), "<quote>"),
    (re.compile(r"(?<!\w)\"[^\"\n]*\""), "<quote>"),
    (re.compile(r"`[^`\n]*`"), "<quote>"),
    (re.compile("[\u2018\u201c«][^\u2019\u201d»\n]*[\u2019\u201d»]"), "<quote>"),
    (re.compile(r"(?<![\w<])(?:~|\.{1,2})?(?:/[\w@%+=.,~-]+)+/?" + _PLACE), "<path>"),
    (re.compile(r"(?<![\w<])[\w@%+=.~-]+(?:/[\w@%+=.,~-]+)+/?" + _PLACE), "<path>"),
    (re.compile(r"(?<![\w<.])[\w-]+(?:\.[\w-]+)*\.[A-Za-z]\w{0,4}(?=:)" + _PLACE), "<path>"),
    (re.compile(r"\b\d{1,2}:\d\d(?::\d\d(?:[.,]\d+)?)?\b"), "<time>"),
    (re.compile(r"\b0[xX][0-9a-fA-F]+\b"), "<hex>"),
    (re.compile(r"\b(?=[0-9a-f]*\d)(?=[0-9a-f]*[a-f])[0-9a-f]{7,64}\b"), "<hex>"),
    (re.compile(r"\d+(?:[.,]\d+)*"), "<n>"),
    (re.compile(r"\s+"), " "),
)
"""Order matters: what stands inside something larger comes after it."""
_ROUND = re.compile(r"#\d+|\[[^\]]*\]")


def normalise(message: str) -> str:
    """``message`` with a word in place of whatever varies between occurrences of one error."""
    text = message[:_LONGEST]
    for pattern, word in _RULES:
        text = pattern.sub(word, text)
    return text.strip()


def error_signature(error_class: str, step: str | None, message: str) -> str:
    """16 hexadecimal digits; rounds and keys of loops in the step's path do not count."""
    text = "\0".join((error_class, _ROUND.sub("", step or ""), normalise(message)))
    return hashlib.blake2b(text.encode("utf-8", "surrogatepass"), digest_size=8).hexdigest()


def signature_of(failure: Failure) -> str:
    """The signature of a recorded failure."""
    return error_signature(failure.error_class, failure.step, failure.message)
