"""A folder takes files or does not; of what git said only the system's own words count."""

import errno
import os
from pathlib import Path

import pytest

from prodigy.git import writability
from prodigy.git.writability import Refusal, refusal


def test_a_folder_that_takes_files_is_as_it_was(tmp_path: Path) -> None:
    assert refusal((str(tmp_path),)) is None
    assert list(tmp_path.iterdir()) == []


def test_the_first_that_is_not_there_is_named(tmp_path: Path) -> None:
    places = (str(tmp_path), str(tmp_path / "gone"), str(tmp_path / "too"))
    assert refusal(places) == Refusal(places[1], os.strerror(errno.ENOENT))


SAID = [
    *map(os.strerror, (errno.ENOSPC, errno.EDQUOT, errno.EROFS)),
    "Out of diskspace",
    "unable to write file",
]


@pytest.mark.parametrize("words", SAID)
def test_git_is_believed_about_the_disk(tmp_path: Path, words: str) -> None:
    """What it wanted to write may be larger than what is tried."""
    complaint = f"error: {words}\nfatal: failed"
    assert refusal((str(tmp_path),), complaint) == Refusal(str(tmp_path), words)


def test_the_place_with_the_least_room_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    one, other = tmp_path / "one", tmp_path / "other"
    one.mkdir()
    other.mkdir()
    room = {str(one): 9, str(other): 5}
    monkeypatch.setattr(writability, "_room", room.__getitem__)
    found = refusal((str(one), str(other)), os.strerror(errno.ENOSPC))
    assert found is not None
    assert found.path == str(other)


def test_other_complaints_are_git_s_own(tmp_path: Path) -> None:
    assert refusal((str(tmp_path),), "error: Permission denied") is None
