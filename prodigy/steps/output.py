"""What a command prints: all of it in a file, the end of it in memory."""

import os
from collections import deque
from pathlib import Path
from types import TracebackType
from typing import BinaryIO, Self

from prodigy.events import Stream
from prodigy.store.atomic import private_folder

TAIL = 64 * 1024
"""Bytes kept in memory for ``${shell.output}``."""


class OutputLog:
    """One stream of one command, written as it comes.

    Args:
        path: the file to make; its folders are made, both private.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._chunks: deque[bytes] = deque()
        self._kept = 0
        self._size = 0
        self._file: BinaryIO | None = None

    def __enter__(self) -> Self:
        """Create the file."""
        private_folder(self._path.parent, durable=False)
        descriptor = os.open(self._path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
        self._file = os.fdopen(descriptor, "wb", buffering=0)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close the file."""
        if self._file is not None:
            self._file.close()
            self._file = None

    def write(self, chunk: bytes) -> None:
        """Append to the file and move the tail."""
        assert self._file is not None, "written outside its block"
        self._file.write(chunk)
        self._size += len(chunk)
        self._chunks.append(chunk)
        self._kept += len(chunk)
        while self._kept - len(self._chunks[0]) >= TAIL:
            self._kept -= len(self._chunks.popleft())

    def stream(self) -> Stream:
        """What was printed so far."""
        tail = b"".join(self._chunks)[-TAIL:]
        return Stream(
            size=self._size,
            tail=tail.decode("utf-8", "replace"),
            cut=self._size > len(tail),
            log=str(self._path),
        )


def last_line(text: str) -> str:
    """The last line that is not blank, stripped; commands say last what went wrong."""
    return next((line.strip() for line in reversed(text.splitlines()) if line.strip()), "")


def short_tail(text: str, limit: int = 4096) -> str:
    """The end of a text, at most ``limit`` characters."""
    return text[-limit:]
