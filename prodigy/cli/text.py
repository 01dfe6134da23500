"""Text for people: made safe to show, measured in terminal cells, cut where graphemes end.

Pure but for one lazy import: Rich's cell tables are loaded only when a text is not ASCII.
"""

import unicodedata
from datetime import datetime, timedelta, tzinfo

_DANGEROUS = frozenset({"Cc", "Cs", "Co", "Cn", "Zl", "Zp"})
"""Categories that move the cursor, break lines, or have no agreed appearance."""
_DIRECTIONAL = frozenset("\u061c\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")
"""Marks that make a terminal show text in another order than it has."""
_SHORT_ESCAPES = {"\n": "\\n", "\t": "\\t", "\r": "\\r"}
_MINUTE, _HOUR, _DAY = 60, 3600, 86400
_TENTHS_UNTIL = 9.95
_CENT = 0.01
_UNITS = ("B", "KiB", "MiB", "GiB")
_STEP = 1024
_RECENT = timedelta(minutes=1)


def printable(text: str) -> str:
    """``text`` with everything that could act on a terminal shown as an escape, on one line.

    An escape character becomes the four characters of its notation in Python. Accents, wide characters and joined
    emoji stay as they are.
    """
    if text.isprintable():
        return text
    return "".join(_shown(character) for character in text)


def _shown(character: str) -> str:
    if character.isprintable():
        return character
    if unicodedata.category(character) not in _DANGEROUS and character not in _DIRECTIONAL:
        return character
    return _SHORT_ESCAPES.get(character) or _escaped(ord(character))


def _escaped(point: int) -> str:
    if point <= 0xFF:  # noqa: PLR2004 - the widest code point that \x can show
        return f"\\x{point:02x}"
    return f"\\u{point:04x}" if point <= 0xFFFF else f"\\U{point:08x}"  # noqa: PLR2004 - as above, for \u


def cells(text: str) -> int:
    """How many terminal cells ``text`` takes, once it is printable."""
    if text.isascii():
        return len(text)
    from rich.cells import cell_len

    return cell_len(text)


def cut(text: str, width: int | None, ellipsis: str = "…") -> str:
    """``text`` in at most ``width`` cells, ending in ``ellipsis`` if anything had to go; ``None`` is no limit."""
    if width is None or cells(text) <= width:
        return text
    room = width - cells(ellipsis)
    if room <= 0:
        return ellipsis[:width]
    if text.isascii():
        return text[:room] + ellipsis
    return _graphemes_within(text, room) + ellipsis


def _graphemes_within(text: str, room: int) -> str:
    """The longest start of ``text`` that fits and ends between two graphemes."""
    from rich.cells import split_graphemes

    spans, _ = split_graphemes(text)
    used = end = 0
    for _, stop, size in spans:
        if used + size > room:
            break
        used, end = used + size, stop
    return text[:end]


def pad(text: str, width: int, *, right: bool = False) -> str:
    """``text`` filled up with spaces to ``width`` cells, on the left if it is to stand on the right."""
    filling = " " * max(0, width - cells(text))
    return filling + text if right else text + filling


def dollars(used: float, reserved: float = 0.0, cap: float | None = None) -> str:
    """What was spent, what running launches may add to it, and what is allowed: ``$1.20 (~$2.20) of $5.00``; or nothing."""
    if not used and not reserved and cap is None:
        return ""
    expected = f" (~${used + reserved:.2f})" if reserved >= _CENT else ""
    return f"${used:.2f}{expected}" + (f" of ${cap:.2f}" if cap is not None else "")


def counted(number: int, noun: str, plural: str | None = None) -> str:
    """``1 commit``, ``2 commits``, ``12,345 files``."""
    return f"{number:,} {noun if number == 1 else plural or noun + 's'}"


def duration(seconds: float) -> str:
    """``0.4 s``, ``41 s``, ``12m 04s``, ``3h 07m``, ``2d 05h``; rounded down beyond ten seconds."""
    if seconds < _TENTHS_UNTIL:
        tenths = int(max(0.0, seconds) * 10 + 0.5)
        return f"{tenths / 10:.1f} s"
    whole = int(seconds)
    if whole < _MINUTE:
        return f"{whole} s"
    if whole < _HOUR:
        return f"{whole // _MINUTE}m {whole % _MINUTE:02d}s"
    if whole < _DAY:
        return f"{whole // _HOUR}h {whole % _HOUR // _MINUTE:02d}m"
    return f"{whole // _DAY}d {whole % _DAY // _HOUR:02d}h"


def about(seconds: float) -> str:
    """A forecast or an age, in one unit: ``40s``, ``4m``, ``2h``, ``3d``."""
    whole = max(0, int(seconds))
    for unit, letter in ((_DAY, "d"), (_HOUR, "h"), (_MINUTE, "m")):
        if whole >= unit:
            return f"{whole // unit}{letter}"
    return f"{whole}s"


def age(then: datetime, now: datetime) -> str:
    """``just now``, ``12m ago``, ``yesterday``, ``3d ago``."""
    passed = now - then
    if passed < _RECENT:
        return "just now"
    if timedelta(days=1) <= passed < timedelta(days=2):
        return "yesterday"
    return f"{about(passed.total_seconds())} ago"


def clock_time(at: datetime, now: datetime) -> str:
    """A time as a clock shows it, in the zone of ``now``; with its day, if that is another one."""
    here, today = at.astimezone(now.tzinfo), now.date()
    return f"{here:%H:%M}" if here.date() == today else f"{here:%b %d %H:%M}"


def local_time(moment: datetime, zone: tzinfo | None = None) -> str:
    """``2026-11-22 09:15:00`` in a zone; ``None``: on the reader's clock."""
    return f"{moment.astimezone(zone):%Y-%m-%d %H:%M:%S}"


def readable_size(size: int) -> str:
    """``1.5 MiB``."""
    amount = float(size)
    for unit in _UNITS[:-1]:
        if amount < _STEP:
            return f"{amount:.0f} {unit}" if unit == "B" else f"{amount:.1f} {unit}"
        amount /= _STEP
    return f"{amount:.1f} {_UNITS[-1]}"


def home_short(path: str, home: str | None) -> str:
    """``path`` with the user's home folder as ``~``; never cut."""
    folder = (home or "").rstrip("/")
    if folder and (path == folder or path.startswith(f"{folder}/")):
        return "~" + path[len(folder) :]
    return path
