"""What is left of a bug: a file with the whole traceback, and an error that says where it lies."""

import os
import sys
import traceback
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path

from prodigy.cli.version import version_line
from prodigy.errors import InternalError


def internal_error(bug: BaseException, home: Path, argv: Sequence[str], now: datetime) -> InternalError:
    """``bug`` as an error of ours, its traceback written to ``{home}/logs/crash/{stamp}.txt``."""
    text = _report(bug, argv, now)
    try:
        place = f"the traceback is in {_write(text, home / 'logs' / 'crash', now)}"
    except OSError as refusal:
        place = f"the traceback could not be written ({refusal}):\n{text}"
    return InternalError(
        "internal-error",
        f"Prodigy itself failed: {type(bug).__name__}: {bug}".rstrip(": "),
        note=place,
        hint="report it with that file; `prodigy status` shows what the run left",
    )


def _report(bug: BaseException, argv: Sequence[str], now: datetime) -> str:
    head = f"{version_line()}\n{now.isoformat()}\n{sys.platform}, {sys.version}\nprodigy {' '.join(argv)}\n\n"
    return head + "".join(traceback.format_exception(bug))


def _write(text: str, folder: Path, now: datetime) -> Path:
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    file = folder / f"{now:%Y%m%d-%H%M%S}-{os.getpid()}.txt"
    descriptor = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with open(descriptor, "w", encoding="utf-8", errors="backslashreplace") as stream:  # noqa: PTH123 - a descriptor is no path
        stream.write(text)
    return file
