"""How long a text a pattern asks for, estimated before it is compiled.

Pure. ``(a{1000}){1000}`` is short, and what it compiles to is not: time and memory grow with the text that must at
least be there. The estimate may be too high and never too low.
"""

import math
import re

_TOKEN = re.compile(
    r"""(?P<comment> \(\?\#[^)]*\) )
    | (?P<repeat> \{ (?P<least>\d+) (?:,\d*)? \} | [?*+] )
    | (?P<open> \( (?: \? (?: [:=!>] | <[=!] ) )? )
    | (?P<close> \) )
    | \[ \^? \]? (?: \\. | \[:\^?\w+:\] | [^]\\] )* \]
    | \\. | .""",
    re.DOTALL | re.VERBOSE,
)
_CHANGES_SYNTAX = re.compile(r"\(\?[A-Za-z0-9-]*[xV]")
"""Flags by which blanks, ``#`` and brackets mean something else."""
_COUNT = re.compile(r"\{(\d+)")
_REMARK = re.compile(r"#[^\n]*")
_BLANK = re.compile(r"\s+")


def least_length(pattern: str) -> int:
    """At most so many characters, or a few more, has the shortest text that ``pattern`` matches."""
    if _CHANGES_SYNTAX.search(pattern):
        readings = (pattern, _REMARK.sub("", pattern))
        return len(pattern) * max(_product(_BLANK.sub("", reading)) for reading in readings)
    outer: list[int] = []
    length = last = 0
    for token in _TOKEN.finditer(pattern):
        match token.lastgroup:
            case "comment":
                continue
            case "repeat":
                times = max(1, int(token["least"] or 1))
                repeated = times * max(1, last)  # what matches nothing takes room too
                length, last = length + repeated - last, repeated
            case "open":
                outer.append(length)
                length = last = 0
            case "close":
                last = length
                length += outer.pop() if outer else 0
            case _:
                last = 1
                length += 1
    return length + sum(outer)


def _product(pattern: str) -> int:
    """What all counts make together, as if each stood within the next."""
    return math.prod(max(1, int(count)) for count in _COUNT.findall(pattern))
