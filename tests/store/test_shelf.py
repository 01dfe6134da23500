"""A shelf holds what is laid on it, and leaves nothing behind."""

import os
from errno import ENOSPC
from pathlib import Path

import pytest

from prodigy.errors import MachineError
from prodigy.store.shelf import FileShelf

PIECE = b"x" * 100_000


def test_what_is_laid_is_there_wherever_it_lies(tmp_path: Path) -> None:
    """In memory, on disk, and over what lay there before."""
    shelf = FileShelf(tmp_path)
    places = [shelf.lay(bytes([number]) * 1000) for number in range(250)]
    places += [shelf.lay(PIECE), shelf.lay(PIECE), shelf.lay(b"last")]
    assert None not in places
    for number in (0, 249):
        assert shelf.take(places[number] or 0, 1000) == bytes([number]) * 1000
    assert shelf.take(places[-1] or 0, 4) == b"last"
    assert shelf.lay_over(places[1] or 0, b"y" * 1000)
    assert shelf.lay_over(places[-1] or 0, b"LAST")
    assert (shelf.take(places[1] or 0, 1000), shelf.take(places[-1] or 0, 4)) == (b"y" * 1000, b"LAST")
    assert shelf.take(places[2] or 0, 1000) == bytes([2]) * 1000
    assert list(tmp_path.iterdir()) == [], "it has no name"


def test_a_folder_that_takes_no_file_is_not_needed(tmp_path: Path) -> None:
    shelf = FileShelf(tmp_path / "gone")
    places = [shelf.lay(PIECE) for _ in range(9)]
    assert [shelf.take(place or 0, len(PIECE)) for place in places] == [PIECE] * 9


def test_a_full_disk_takes_no_more_and_loses_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shelf = FileShelf(tmp_path)
    kept = [shelf.lay(PIECE) for _ in range(3)]
    written = os.pwrite

    def full(descriptor: int, data: memoryview, place: int) -> int:
        if len(data) > 50_000:
            return written(descriptor, data[:50_000], place)
        raise OSError(ENOSPC, "full")

    monkeypatch.setattr(os, "pwrite", full)
    places = [shelf.lay(PIECE) for _ in range(6)]
    laid = [place for place in places if place is not None]
    assert 0 < len(laid) < 6
    assert not shelf.lay_over(kept[0] or 0, b"z")
    assert [shelf.take(place, len(PIECE)) for place in laid] == [PIECE] * len(laid)


def test_what_cannot_be_read_back_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shelf = FileShelf(tmp_path)
    place = shelf.lay(PIECE)
    assert [shelf.lay(PIECE) for _ in range(3)]

    def broken(*_: object) -> bytes:
        raise OSError(5, "Input/output error")

    for fault in (broken, lambda *_: b""):
        monkeypatch.setattr(os, "pread", fault)
        with pytest.raises(MachineError) as raised:
            shelf.take(place or 0, 100)
        assert raised.value.code == "storage-denied"
