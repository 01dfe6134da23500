"""Whole-file writes: the old content or the new one, private, and nothing else left behind."""

import os
import stat
from collections.abc import Iterator
from pathlib import Path

import pytest

from prodigy.errors import MachineError
from prodigy.store import atomic
from prodigy.store.atomic import private_folder, remove_file, write_file


@pytest.fixture
def no_umask() -> Iterator[None]:
    before = os.umask(0)
    yield
    os.umask(before)


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


@pytest.mark.usefixtures("no_umask")
def test_files_and_folders_are_private_under_umask_0(tmp_path: Path) -> None:
    path = tmp_path / "a" / "b" / "file"
    write_file(path, b"x")
    assert [mode(place) for place in (path, path.parent, path.parent.parent)] == [0o600, 0o700, 0o700]


def test_files_and_folders_are_usable_under_umask_777(tmp_path: Path) -> None:
    before = os.umask(0o777)
    try:
        write_file(tmp_path / "a" / "file", b"x")
    finally:
        os.umask(before)
    assert (mode(tmp_path / "a"), mode(tmp_path / "a" / "file")) == (0o700, 0o600)


def test_folders_that_were_there_keep_their_mode(tmp_path: Path) -> None:
    (tmp_path / "mine").mkdir(mode=0o755)
    private_folder(tmp_path / "mine" / "new")
    assert mode(tmp_path / "mine") == 0o755


def test_a_file_is_replaced_as_a_whole(tmp_path: Path) -> None:
    path = tmp_path / "file"
    write_file(path, b"old, and longer")
    write_file(path, b"new")
    assert path.read_bytes() == b"new"
    assert list(tmp_path.iterdir()) == [path]


def test_a_crash_before_the_rename_leaves_the_old_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "file"
    write_file(path, b"old")

    def refuse(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(atomic.os, "fsync", refuse)
    with pytest.raises(MachineError, match="storage-full"):
        write_file(path, b"new")
    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]


def test_content_is_on_disk_before_the_name_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    done: list[str] = []
    sync, rename = os.fsync, Path.replace

    def noted_sync(descriptor: int) -> None:
        done.append("folder" if stat.S_ISDIR(os.fstat(descriptor).st_mode) else "file")
        sync(descriptor)

    def noted_rename(path: Path, target: Path) -> Path:
        done.append("rename")
        return rename(path, target)

    monkeypatch.setattr(atomic.os, "fsync", noted_sync)
    monkeypatch.setattr(Path, "replace", noted_rename)
    write_file(tmp_path / "file", b"x")
    assert done == ["file", "rename", "folder"]


def test_a_place_that_is_no_folder_is_a_clear_error(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(MachineError, match="storage-denied"):
        write_file(tmp_path / "file" / "below", b"x")


def test_removing_what_is_not_there_is_no_error(tmp_path: Path) -> None:
    remove_file(tmp_path / "nothing")
    remove_file(tmp_path / "no" / "folder")
