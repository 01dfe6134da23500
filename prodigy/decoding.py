"""JSON to values of a type, also where several threads begin to read the same type.

msgspec learns a type when it is first asked for, and two threads that ask at the same moment end the whole process
(SIGSEGV): one reads by what the other has only half written down. So types are learned one after the other, under one
lock, since they have parts in common.
"""

import threading
from collections.abc import Callable
from typing import Any, Generic, TypeVar

import msgspec

T = TypeVar("T")

_learning = threading.Lock()


class JsonDecoder(Generic[T]):
    """Decodes JSON texts of one type, learned at the first of them.

    Args:
        kind: the type.
        dec_hook: as msgspec takes it, for types that it does not know.
    """

    def __init__(self, kind: type[T], dec_hook: Callable[[type[Any], Any], Any] | None = None) -> None:
        self._kind = kind
        self._dec_hook = dec_hook
        self._decoder: msgspec.json.Decoder[T] | None = None

    def __call__(self, text: bytes | str) -> T:
        """The value of a text.

        Raises:
            msgspec.DecodeError: it is not JSON, or not of the type.
        """
        decoder = self._decoder
        if decoder is None:
            with _learning:
                decoder = self._decoder = msgspec.json.Decoder(self._kind, dec_hook=self._dec_hook)
        return decoder.decode(text)
