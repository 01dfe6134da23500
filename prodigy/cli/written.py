"""Files that a verb brings about for its user, and what is said of each."""

from collections.abc import Sequence
from pathlib import Path
from typing import Literal

import msgspec

from prodigy.cli.printer import Printer, Span, Tone
from prodigy.errors import MachineError

Result = Literal["written", "unchanged", "kept", "overwritten", "extended"]

_TONES: dict[Result, Tone] = {
    "written": "good",
    "unchanged": "dim",
    "kept": "warning",
    "overwritten": "good",
    "extended": "good",
}


class Written(msgspec.Struct, frozen=True, kw_only=True):
    """One file: its path, what was done, and where the old one is, if it was replaced."""

    what: str
    result: Result
    detail: str | None = None


def content_of(path: Path) -> str | None:
    """What is in a file already; ``None`` if it is not there.

    Raises:
        MachineError: ``storage-denied``.
    """
    try:
        return path.read_text("utf-8", errors="surrogateescape")
    except FileNotFoundError:
        return None
    except OSError as error:
        raise denied(path, error) from None


def denied(path: Path, error: OSError) -> MachineError:
    """What the disk refused."""
    return MachineError("storage-denied", f"This cannot be used: {error.strerror}", where=str(path))


def tell(printer: Printer, files: Sequence[Written]) -> None:
    """A line for each file."""
    width = max(map(len, _TONES))
    for file in files:
        remark = f" (the old one is {file.detail})" if file.detail else ""
        printer.line(Span(file.result.ljust(width), _TONES[file.result]), f"  {file.what}{remark}")
