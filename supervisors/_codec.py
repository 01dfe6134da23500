"""Encoding and decoding of values of one declared type, as content of frames.

Pure: no socket, no event loop.
"""

from typing import Any, Generic, TypeVar

import msgspec

from supervisors.process_errors import FrameError

T = TypeVar("T")


class Codec(Generic[T]):
    """MessagePack for one type.

    Args:
        kind: a class, or a union of tagged structs.
    """

    def __init__(self, kind: Any) -> None:
        self._encode = msgspec.msgpack.Encoder().encode
        self._decoder: msgspec.msgpack.Decoder[T] = msgspec.msgpack.Decoder(kind)

    def encode(self, value: T) -> msgspec.Raw:
        """The value as content.

        Raises:
            TypeError: it holds something that MessagePack cannot express.
        """
        return msgspec.Raw(self._encode(value))

    def decode(self, content: bytes | msgspec.Raw) -> T:
        """The value that some content means.

        Raises:
            FrameError: it is no MessagePack, or no value of the type.
        """
        try:
            return self._decoder.decode(content)
        except msgspec.DecodeError as error:
            raise FrameError(f"{memoryview(content).nbytes} bytes that are no message: {error}") from error
