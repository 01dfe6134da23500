"""The lines of a journal: one record each, as JSON that ends with a checksum of itself.

Nothing is made into a line that could not be read back, and a line is read only if it is exactly what was written.
"""

from functools import cache
from typing import TYPE_CHECKING, Any

import msgspec
from msgspec import Struct
from msgspec.structs import replace

from prodigy.decoding import JsonDecoder
from prodigy.errors import InternalError, RunError
from prodigy.events import FORMAT, Record

if TYPE_CHECKING:
    import hashlib

_SUM_MARK = b',"sum":"'
_SUM_DIGITS = 16
_SUM_FIELD = len(_SUM_MARK) + _SUM_DIGITS + len(b'"}')
_encode = msgspec.json.Encoder().encode
_decode = JsonDecoder(Record)


@cache
def _blake2b() -> "type[hashlib.blake2b]":
    from hashlib import blake2b  # it brings OpenSSL along

    return blake2b


class Damaged(Exception):  # no error until it is known where it stands
    """A line that is no good record."""


class _Envelope(Struct):
    """What can be read of a record of any format."""

    v: int = 0
    event: dict[str, Any] = {}


_read_envelope = JsonDecoder(_Envelope)


def line_of(record: Record) -> tuple[bytes, Record]:
    """The line of ``record``, newline included, and the record as it will be read.

    Raises:
        InternalError: ``record-unreadable``: a field does not hold what its type says.
    """
    encoded = _encoded(record)
    try:
        readable = _decode(encoded)
    except msgspec.DecodeError as error:
        kind = type(record.event).__name__
        raise InternalError("record-unreadable", f"{kind} could be written but not read: {error}") from error
    body = encoded[:-1]
    checksum = digest(body)
    return body + end_of_line(checksum), replace(readable, sum=checksum)


def end_of_line(checksum: str) -> bytes:
    """What a line with this checksum ends with."""
    return _SUM_MARK + checksum.encode() + b'"}\n'


def _encoded(record: Record) -> bytes:
    try:
        return _encode(record)
    except UnicodeEncodeError:
        return _encode(_without_surrogates(msgspec.to_builtins(record)))


def _without_surrogates(value: Any) -> Any:
    """Undecodable bytes of others' output can reach us as lone surrogates, which JSON can't hold."""
    if isinstance(value, str):
        return value.encode("utf-8", "replace").decode()
    if isinstance(value, list | tuple):
        return [_without_surrogates(part) for part in value]
    if isinstance(value, dict):
        return {_without_surrogates(key): _without_surrogates(part) for key, part in value.items()}
    return value


def digest(body: bytes) -> str:
    """The checksum of a line: blake2b-64 of everything before the field that holds it, 16 hexadecimal digits."""
    return _blake2b()(body, digest_size=_SUM_DIGITS // 2).hexdigest()


def record_of(line: bytes, expected: int) -> Record:
    """The record of one line without its newline.

    Raises:
        Damaged: the checksum or the number is wrong.
        RunError: ``journal-newer``: the line is as it was written, but not by a release that we know.
    """
    body = line[:-_SUM_FIELD]
    if line[-_SUM_FIELD:] != _SUM_MARK + digest(body).encode() + b'"}':
        raise Damaged("its checksum is wrong")
    try:
        record = _decode(line)
    except msgspec.DecodeError as error:
        raise _newer(line, str(error)) from error
    if record.v > FORMAT:
        raise _newer(line, f"format {record.v}")
    if record.seq != expected:
        raise Damaged(f"it says it is record {record.seq}")
    return record


def _newer(line: bytes, reason: str) -> RunError:
    envelope = _read_envelope(line)
    return RunError(
        "journal-newer",
        "The journal was written by a newer release of Prodigy",
        note=f"format {envelope.v}, event {envelope.event.get('event_type')}: {reason}",
        hint="upgrade Prodigy",
    )


def number_of(line: bytes) -> int | None:
    """The number that a record claims, if its line is whole; whether it is a good one is not looked at."""
    try:
        return _read_number(line).seq
    except msgspec.DecodeError:
        return None


class _Numbered(Struct):
    seq: int


_read_number = JsonDecoder(_Numbered)


def group_of(text: bytes) -> int:
    """The number of a good record's group; 0 if the line is no good record."""
    body = text[:-_SUM_FIELD]
    if text[-_SUM_FIELD:] != _SUM_MARK + digest(body).encode() + b'"}':
        return 0
    return _read_group(text).batch


class _Grouped(Struct):
    batch: int = 0


_read_group = JsonDecoder(_Grouped)
