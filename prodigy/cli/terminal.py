"""What the two output streams can show: colour, width, which marks.

Meaning never rests on colour alone. Each stream is judged for itself; the environment comes in as a mapping.
"""

import os
from collections.abc import Mapping
from typing import Literal, TextIO

from msgspec import Struct

Choice = Literal["auto", "always", "never"]

_LOCALE_VARIABLES = ("LC_ALL", "LC_CTYPE", "LANG")
"""In the order in which a C library asks them; the first that is set decides."""


class Marks(Struct, frozen=True):
    """The few signs that stand for words, in UTF-8 or in ASCII."""

    done: str
    failed: str
    warning: str
    arrow: str
    dash: str
    ellipsis: str
    bar: tuple[str, str]
    """A filled and an empty cell of a progress bar."""


UNICODE = Marks(done="✅", failed="❌", warning="⚠", arrow="→", dash="–", ellipsis="…", bar=("━", "─"))  # noqa: RUF001 - the dash is meant
ASCII = Marks(done="OK", failed="FAILED", warning="!", arrow="->", dash="-", ellipsis="...", bar=("#", "."))


def is_terminal(stream: TextIO) -> bool:
    """Whether a person may be looking at ``stream``; a closed stream is no terminal."""
    try:
        return stream.isatty()
    except ValueError:
        return False


def has_colour(stream: TextIO, environ: Mapping[str, str], choice: Choice) -> bool:
    """Whether to colour: the flag decides, else ``NO_COLOR``, ``FORCE_COLOR``, ``TERM`` and the stream itself."""
    if choice != "auto":
        return choice == "always"
    if environ.get("NO_COLOR"):
        return False
    if environ.get("FORCE_COLOR", "0") not in {"", "0"}:
        return True
    return is_terminal(stream) and environ.get("TERM") != "dumb"


def width_of(stream: TextIO, environ: Mapping[str, str]) -> int | None:
    """Cells per line, or ``None`` where nothing may be cut: in pipes and files."""
    if not is_terminal(stream):
        return None
    columns = environ.get("COLUMNS", "")
    if columns.isdecimal() and int(columns) > 0:
        return int(columns)
    try:
        return os.get_terminal_size(stream.fileno()).columns or None
    except (OSError, ValueError):
        return None


def marks_for(stream: TextIO, environ: Mapping[str, str], choice: Choice = "auto") -> Marks:
    """UTF-8 marks as was chosen, else where the locale and the stream both speak UTF-8; ASCII where not."""
    if choice != "auto":
        return UNICODE if choice == "always" else ASCII
    encoding = (getattr(stream, "encoding", None) or "").lower().replace("-", "")
    locale = next((environ[name] for name in _LOCALE_VARIABLES if environ.get(name)), "")
    speaks = "utf8" in locale.lower().replace("-", "")
    return UNICODE if speaks and encoding == "utf8" else ASCII


def may_animate(stream: TextIO, environ: Mapping[str, str]) -> bool:
    """Whether a live region may be drawn on ``stream`` when nobody chose: a capable terminal outside CI."""
    return is_terminal(stream) and environ.get("TERM") != "dumb" and not environ.get("CI")
