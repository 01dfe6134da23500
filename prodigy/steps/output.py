"""What a command prints: all of it in a file, the end of it in memory.

Both are masked. What captures read is the true text, which is kept by whoever runs the command and never written.
"""

import os
from collections import deque
from pathlib import Path
from types import TracebackType
from typing import BinaryIO, Final, Self

from prodigy.crash_points import crash_point
from prodigy.events import Stream
from prodigy.steps.masking import MaskedStream, Masker
from prodigy.store.atomic import private_folder

TAIL = 64 * 1024
"""Bytes kept in memory for ``${shell.output}``."""
NO_SECRETS: Final = Masker({})


class OutputLog:
    """One stream of one command, written as it comes.

    Args:
        path: the file to make; its folders are made, both private.
        masker: hides secrets in the file and in the tail.
        named: whether names take the place of secrets, because the output is data that is used again.
    """

    def __init__(self, path: Path, masker: Masker = NO_SECRETS, *, named: bool = False) -> None:
        self._path = path
        self._masked = MaskedStream(masker, named=named)
        self._chunks: deque[bytes] = deque()
        self._kept = 0
        self._written = 0
        self._size = 0
        self._file: BinaryIO | None = None

    def __enter__(self) -> Self:
        """Create the file."""
        private_folder(self._path.parent, durable=False)
        with crash_point("log.open"):
            descriptor = os.open(self._path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
        self._file = os.fdopen(descriptor, "wb", buffering=0)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Write what is still held back and close the file."""
        if self._file is not None:
            self._tell(self._masked.rest())
            self._file.close()
            self._file = None

    def write(self, chunk: bytes) -> None:
        """Append to the file and move the tail."""
        self._size += len(chunk)
        self._tell(self._masked.feed(chunk))

    def stream(self) -> Stream:
        """What was printed, masked; the size is that of what the command wrote. Nothing is written afterwards."""
        self._tell(self._masked.rest())
        tail = b"".join(self._chunks)[-TAIL:]
        return Stream(
            size=self._size,
            tail=tail.decode("utf-8", "replace"),
            cut=self._written > len(tail),
            log=str(self._path),
        )

    def _tell(self, data: bytes) -> None:
        """Write what may be read by anybody."""
        assert self._file is not None, "written outside its block"
        if not data:
            return
        self._file.write(data)
        self._written += len(data)
        self._chunks.append(data)
        self._kept += len(data)
        while self._kept - len(self._chunks[0]) >= TAIL:
            self._kept -= len(self._chunks.popleft())


class Logs:
    """The two log files of a command, open for the time of a block."""

    def __init__(self, name: Path, masker: Masker, *, named: bool = False) -> None:
        self._out = OutputLog(name.with_name(name.name + ".out"), masker, named=named)
        self._err = OutputLog(name.with_name(name.name + ".err"), masker)

    def __enter__(self) -> tuple[OutputLog, OutputLog]:
        """Create the files."""
        return self._out.__enter__(), self._err.__enter__()

    def __exit__(self, *_: object) -> None:
        """Close them."""
        self._out.__exit__(None, None, None)
        self._err.__exit__(None, None, None)


def last_line(text: str) -> str:
    """The last line that is not blank, stripped; commands say last what went wrong."""
    return next((line.strip() for line in reversed(text.splitlines()) if line.strip()), "")


def cut(text: str, limit: int) -> str:
    """The beginning of a text, at most ``limit`` characters and a mark that says so, by which a part of a secret is known."""
    return text if len(text) <= limit else f"{text[:limit]}…"


def short_tail(text: str, limit: int = 4096) -> str:
    """The end of a text, at most ``limit`` characters."""
    return text[-limit:]
