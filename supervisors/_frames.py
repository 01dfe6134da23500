"""Frames: a four-byte big-endian length, then so many bytes.

Pure: bytes in, bytes out; no socket, no event loop.
"""

from supervisors.process_errors import FrameError, FrameTooLarge

FRAME_LIMIT = 64 * 1024 * 1024
"""Bytes of content that a frame may hold unless told otherwise."""

HEADER = 4


def frame(content: bytes, limit: int = FRAME_LIMIT) -> bytes:
    """Put content into a frame.

    Raises:
        FrameTooLarge: the content is longer than the limit.
    """
    if len(content) > limit:
        raise FrameTooLarge(len(content), limit)
    return len(content).to_bytes(HEADER, "big") + content


class FrameReader:
    """Cuts a stream of bytes, however it arrives, into the contents of its frames."""

    def __init__(self, limit: int = FRAME_LIMIT) -> None:
        self._limit = limit
        self._buffer = bytearray()

    def feed(self, data: bytes) -> list[bytes]:
        """Take what arrived; give the content of every frame that is complete now.

        Raises:
            FrameTooLarge: a frame announces more than the limit; the stream is of no use any more.
        """
        self._buffer += data
        contents: list[bytes] = []
        start = 0
        while (end := self._end_of_frame(start)) is not None:
            contents.append(bytes(self._buffer[start + HEADER : end]))
            start = end
        del self._buffer[:start]
        return contents

    def finish(self) -> None:
        """Say that the stream has ended.

        Raises:
            FrameError: it ended inside a frame.
        """
        if self._buffer:
            raise FrameError(f"the stream ended inside a frame, after {len(self._buffer)} bytes of it")

    def _end_of_frame(self, start: int) -> int | None:
        if len(self._buffer) - start < HEADER:
            return None
        size = int.from_bytes(self._buffer[start : start + HEADER], "big")
        if size > self._limit:
            raise FrameTooLarge(size, self._limit)
        end = start + HEADER + size
        return end if end <= len(self._buffer) else None
